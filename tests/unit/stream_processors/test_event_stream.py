import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.event_stream import EventStream


def read(*chunks: bytes) -> list[bytes]:
    events = EventStream()
    return [data for chunk in chunks for data in events.feed(chunk)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\ndata:  b\n\n", [b"a", b" b"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", [b"a", b"b", b"c"]),
        (b"data: a\ndata\ndata: b\n\n", [b"a\n\nb"]),
        (b"data:\n\n", [b""]),
        (b"event: x\nid: 7\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"event: ping\n\nid: 7\n\n", []),
        (b": comment\n\n:data: a\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"database: a\n\nDATA: a\n\n data: a\n\n", []),
        (b"data: a\xe2\x80\xa8b\xc2\x85c\x0bd\n\n", [b"a\xe2\x80\xa8b\xc2\x85c\x0bd"]),
        (b"data: \xff\n\n", [b"\xff"]),
        (b"\n\n\ndata: a\n", []),
        (b"data: a", []),
        (b"", []),
    ],
)
def test_the_data_of_each_event_is_found_wherever_the_chunks_end(body: bytes, found: list[bytes]) -> None:
    assert read(body) == found
    assert read(*(body[at : at + 1] for at in range(len(body)))) == found
    assert all(read(body[:at], body[at:]) == found for at in range(len(body)))


def test_an_event_is_told_with_the_chunk_that_ends_it() -> None:
    events = EventStream()
    assert events.feed(b"data: a\r") == []
    assert events.feed(b"\r") == [b"a"]
    assert events.feed(b"\ndata: b\n\nda") == [b"b"]
    assert events.feed(b"") == []
    assert events.feed(b"ta: c\n\n") == [b"c"]


fields = st.sampled_from(["data", "data: ", "data:", "event: x", "id: 1", ": ", "", "", "다"])
bodies = st.lists(
    st.tuples(fields, st.text("가a :\u2028\x85", max_size=4), st.sampled_from(["\n", "\r", "\r\n"])), max_size=12
).map(lambda lines: ("".join(map("".join, lines)) + ":\n").encode())


@given(bodies, st.lists(st.integers(0, 200), max_size=6))
def test_another_reader_finds_the_same(body: bytes, cuts: list[int]) -> None:
    """The other one also tells of events that hold no data, and of one that its body's end cuts off behind a return."""

    class Chunks(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield body

    async def others() -> list[bytes]:
        request = httpx2.Request("GET", "http://test/")
        headers = {"content-type": "text/event-stream"}
        response = httpx2.Response(200, headers=headers, stream=Chunks(), request=request)
        return [event.data.encode() async for event in httpx2.EventSource(response)]

    ends = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    chunks = [body[begin:end] for begin, end in pairwise(ends)]
    assert [data for data in read(*chunks) if data] == [data for data in asyncio.run(others()) if data]
