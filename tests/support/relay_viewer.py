"""A viewer of the relay's streams, as strict as a browser, for tests against a real server."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

import httpx2

from tests.support.event_stream import EventStream, StreamEvent


class StreamViewer:
    """One open stream. Use as a context manager; `events` grows as they are asked for.

    Without a ticket none is sent in a header: then it is in the URL, as EventSource has it.
    """

    def __init__(self, url: str, ticket: str, cursor: str = "", **headers: str) -> None:
        self._url = url
        self._headers = {**({"Authorization": f"Bearer {ticket}"} if ticket else {}), **headers}
        if cursor:
            self._headers["Last-Event-ID"] = cursor
        self._stack = contextlib.AsyncExitStack()
        self.stream = EventStream()
        self.events: list[StreamEvent] = []
        self.status = 0
        self.headers: httpx2.Headers = httpx2.Headers()

    async def __aenter__(self) -> Self:
        client = await self._stack.enter_async_context(httpx2.AsyncClient(timeout=30))
        answer = await self._stack.enter_async_context(client.stream("GET", self._url, headers=self._headers))
        self.status, self.headers = answer.status_code, answer.headers
        self._incoming = self._read(answer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._incoming.aclose()
        await self._stack.aclose()

    @property
    def cursor(self) -> str:
        """What a browser would send as Last-Event-ID."""
        return self.stream.last_event_id

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    async def next(self, timeout_seconds: float = 15) -> StreamEvent:
        """Return the next event; StopAsyncIteration is the end of the stream."""
        async with asyncio.timeout(timeout_seconds):
            return await anext(self._incoming)

    async def until(self, event_type: str, timeout_seconds: float = 15) -> StreamEvent:
        """Return the next event of a type."""
        async with asyncio.timeout(timeout_seconds):
            while (event := await anext(self._incoming)).type != event_type:
                pass
            return event

    async def rest(self, timeout_seconds: float = 20) -> list[StreamEvent]:
        """Read to the end of the stream and return all events since it began."""
        async with asyncio.timeout(timeout_seconds):
            async for _ in self._incoming:
                pass
        return self.events

    async def _read(self, answer: httpx2.Response) -> AsyncGenerator[StreamEvent, None]:
        with contextlib.suppress(httpx2.RemoteProtocolError, httpx2.ReadError):  # a cut is an end, as in a browser
            async for data in answer.aiter_raw():
                for event in self.stream.feed(data):
                    self.events.append(event)
                    yield event
