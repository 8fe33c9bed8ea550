"""A proxy in front of a relay that notes each request, and cuts the line when it is told to."""

import asyncio
import contextlib
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK_BYTES = 65_536


@dataclass(slots=True)
class Exchange:
    """One request, and the status that it got; 0 until then."""

    last_event_id: str
    status: int = 0


class CuttingProxy:
    """Listens on a free port; use as an async context manager. One request for each connection."""

    def __init__(self, upstream_url: str) -> None:
        self._upstream = urlsplit(upstream_url)
        self.exchanges: list[Exchange] = []
        self._lines: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        lines = list(self._lines)
        self.cut()
        await asyncio.gather(*lines, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """End every open connection at once, wherever it is."""
        for line in self._lines:
            line.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.create_task(self._relay(reader, writer))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)
        await asyncio.wait({line})
        writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?im)^last-event-id: *(.*?)\r$", head)
            exchange = Exchange(found[1].decode() if found else "")
            self.exchanges.append(exchange)
            await self._answer(head, exchange, writer)

    async def _answer(self, head: bytes, exchange: Exchange, writer: asyncio.StreamWriter) -> None:
        assert self._upstream.hostname
        above, below = await asyncio.open_connection(self._upstream.hostname, self._upstream.port or 80)
        try:
            below.write(re.sub(rb"(?im)^connection:.*\r\n", b"", head)[:-2] + b"Connection: close\r\n\r\n")
            status_line = await above.readline()
            exchange.status = int(status_line.split()[1])
            writer.write(status_line)
            while data := await above.read(_CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        finally:
            below.transport.abort()
