"""A transport in memory that keeps asyncio's write contract: high and low water marks, close after the last byte."""

import asyncio
from typing import Any


class MemoryTransport(asyncio.Transport):
    """Holds what was written until the peer reads it. `kernel_bytes` go out without being asked for.

    `high_bytes` is the most that it takes before it pauses its protocol, whatever limit that asks for.
    """

    def __init__(self, kernel_bytes: int = 0, high_bytes: int = 65_536) -> None:
        super().__init__()
        self.received = bytearray()
        self.writes: list[int] = []
        self.closed = False
        self.lost = False
        self._buffer = bytearray()
        self._kernel_bytes = kernel_bytes
        self._most = high_bytes
        self._high, self._low = high_bytes, high_bytes // 4
        self._paused = False
        self._protocol: Any = None

    def connect(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = self._most if high is None else min(high, self._most)
        self._low = self._high // 4 if low is None else low

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "nothing is written after close"
        self.writes.append(len(data))
        self._buffer += data
        self._flush(max(0, self._kernel_bytes - len(self.received)))
        if len(self._buffer) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def read(self, size: int = 1 << 30) -> None:
        """Let the peer read; as asyncio does, this may resume the protocol and then close."""
        self._flush(size)
        if self._paused and len(self._buffer) <= self._low and not self.lost:
            self._paused = False
            self._protocol.resume_writing()
        self._end_if_flushed()

    def read_everything(self) -> None:
        while self._buffer:
            self.read()
        self._end_if_flushed()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True
        self._buffer.clear()
        self._end_if_flushed()

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    @property
    def paused(self) -> bool:
        return self._paused

    def _flush(self, size: int) -> None:
        self.received += self._buffer[:size]
        del self._buffer[:size]

    def _end_if_flushed(self) -> None:
        if self.closed and not self._buffer and not self.lost:
            self.lost = True
            self._protocol.connection_lost(None)
