"""The same subscribers over plain ASGI: a transport whose writes go through `send`."""

import asyncio
import contextlib

from litestar.types import Receive, Send
from typing_extensions import override

from sse_relay.subscriber import CHUNK_BYTES, Subscriber


class PlainTransport(asyncio.Transport):
    """Keeps the write contract of asyncio's transports. Overflow policy: pause, then the reader is evicted."""

    def __init__(self, subscriber: Subscriber) -> None:
        super().__init__()
        self._subscriber = subscriber
        self._buffer: list[bytes] = []
        self._size_bytes = 0
        self._high_bytes = CHUNK_BYTES
        self._paused = False
        self._closing = False
        self._aborted = False
        self._changed = asyncio.Event()

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        self._buffer.append(bytes(data))
        self._size_bytes += len(data)
        self._changed.set()
        if self._size_bytes > self._high_bytes and not self._paused:
            self._paused = True
            self._subscriber.pause_writing()

    @override
    def close(self) -> None:
        self._closing = True
        self._changed.set()

    @override
    def abort(self) -> None:
        self._closing = self._aborted = True
        self._buffer.clear()
        self._changed.set()

    @override
    def is_closing(self) -> bool:
        return self._closing

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_bytes = CHUNK_BYTES if high is None else high

    @override
    def get_write_buffer_size(self) -> int:
        return self._size_bytes

    async def pump(self, send: Send) -> None:
        """Send what is written until the stream is closed."""
        while not self._closing or self._buffer:
            if not self._buffer:
                self._changed.clear()
                await self._changed.wait()
                continue
            data, self._buffer = b"".join(self._buffer), []
            await send({"type": "http.response.body", "body": data, "more_body": True})
            self._size_bytes -= len(data)
            if self._paused and not self._closing and not self._buffer:
                self._paused = False
                self._subscriber.resume_writing()
        if not self._aborted:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def aborted(self) -> None:
        """Wait until the stream is aborted."""
        while not self._aborted:
            self._changed.clear()
            await self._changed.wait()


async def serve(subscriber: Subscriber, head: bytes, receive: Receive, send: Send) -> None:
    """Run a subscriber until its stream ends or its peer is gone."""
    transport = PlainTransport(subscriber)
    transport.write(head)
    pump = asyncio.ensure_future(_run(subscriber, transport, send))
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((pump, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        transport.abort()
        for task in (pump, gone):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        subscriber.connection_lost(None)


async def _run(subscriber: Subscriber, transport: PlainTransport, send: Send) -> None:
    subscriber.connection_made(transport)
    await transport.pump(send)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
