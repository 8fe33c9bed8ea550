from collections.abc import AsyncIterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.bounded_transport import BoundedTransport, ByteCaps
from stream_processors.errors import Unreadable


class Chunks(httpx2.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


async def read(chunks: list[bytes], line_bytes: int, answer_bytes: int) -> bytes:
    inner = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Chunks(chunks)))
    transport = BoundedTransport(inner, ByteCaps(line_bytes, answer_bytes))
    async with httpx2.AsyncClient(transport=transport) as client:
        return (await client.get("http://test/")).content


@pytest.mark.parametrize(
    "chunks", [[b"12345", b"67890\n"], [b"1234567890"], [b"\n1234567890\n"], [b"1\n", b"123456", b"789", b"0"]]
)
async def test_a_line_over_its_cap_is_not_read(chunks: list[bytes]) -> None:
    assert await read(chunks, 10, 100) == b"".join(chunks)
    with pytest.raises(Unreadable, match="line too long"):
        await read(chunks, 9, 100)


async def test_an_answer_over_its_cap_is_not_read() -> None:
    assert await read([b"1\n"] * 50, 10, 100)
    with pytest.raises(Unreadable, match="answer too large"):
        await read([b"1\n"] * 51, 10, 100)


@given(st.lists(st.text("a\n", max_size=12).map(str.encode), max_size=10))
async def test_exactly_the_answers_with_a_longer_line_are_refused(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    is_refused = max(map(len, whole.split(b"\n"))) > 8
    try:
        assert await read(chunks, 8, 10_000) == whole
        assert not is_refused
    except Unreadable:
        assert is_refused
