import asyncio

import pytest

from bench.journey.exchange import Address, Answer, BrokenAnswer, post_json, read_answer, write_request


def test_an_address_is_read_from_a_url_with_and_without_a_path() -> None:
    assert Address.of("http://127.0.0.1:8000") == Address.of("http://127.0.0.1:8000/v1/x") == Address("127.0.0.1", 8000)


def test_answers_with_and_without_chunks_read_alike() -> None:
    whole = b'HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n{"a":[1]}'
    chunked = b'HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n:[1]}\r\n0\r\n\r\n'
    assert read_answer(chunked) == read_answer(whole) == Answer(202, {"a": [1]})


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_half_an_answer_is_none(raw: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        read_answer(raw)


def test_a_request_with_a_body_tells_its_length() -> None:
    request = write_request("POST", "/x", Address("h", 1), {"A": "b"}, b"{}")
    assert request == b"POST /x HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_posted_body_arrives_and_the_answer_comes_back() -> None:
    seen = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.readuntil(b"}"))
        writer.write(b'HTTP/1.1 202 Accepted\r\nContent-Length: 11\r\n\r\n{"ok":true}')
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await post_json(Address("127.0.0.1", port), "/v1/tasks", {"notes": "x"}) == Answer(202, {"ok": True})
    assert seen.startswith(b"POST /v1/tasks HTTP/1.1\r\n")
    assert seen.endswith(b'{"notes":"x"}')
