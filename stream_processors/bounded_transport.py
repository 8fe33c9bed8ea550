"""An HTTP transport that reads no more than it was told to: neither an endless line nor an endless answer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import httpx2

from stream_processors.errors import Unreadable


@dataclass(frozen=True, slots=True)
class ByteCaps:
    """The longest line and the longest body of an answer, in bytes."""

    line_bytes: int
    answer_bytes: int


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Counts what comes in through another transport; over a cap, the reader gets Unreadable.

    Compressed answers are refused, because their size on the wire says nothing.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, caps: ByteCaps) -> None:
        self._inner = inner
        self._caps = caps

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return its answer with a body that counts."""
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise Unreadable("compressed answer")
        body = cast("httpx2.AsyncByteStream", response.stream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedBody(body, self._caps),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, caps: ByteCaps) -> None:
        self._inner = inner
        self._caps = caps
        self._answer_bytes = 0
        self._line_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._count(chunk)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _count(self, chunk: bytes) -> None:
        self._answer_bytes += len(chunk)
        if self._answer_bytes > self._caps.answer_bytes:
            raise Unreadable("answer too large")
        if self._line_bytes + len(chunk) > self._caps.line_bytes:
            self._look_for_long_lines(chunk)
        last = len(chunk) - chunk.rfind(b"\n") - 1
        self._line_bytes = last + (self._line_bytes if last == len(chunk) else 0)

    def _look_for_long_lines(self, chunk: bytes) -> None:
        first, *others = chunk.split(b"\n")
        if max(self._line_bytes + len(first), *map(len, others), 0) > self._caps.line_bytes:
            raise Unreadable("line too long")
