"""HTTP/1.1 with limits that uvicorn does not have: the time and the bytes that a request's header may take."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose header is late (in silence) or long (431)."""

    header_seconds: ClassVar[float] = 10.0
    header_bytes: ClassVar[int] = 32 << 10

    _timer: asyncio.TimerHandle | None = None
    _pending_bytes = 0
    _in_header = True
    _too_long = False

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a header."""
        super().connection_made(transport)
        self._expect_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives before the header is complete."""
        if self._in_header:
            self._pending_bytes += len(data)
            if self._timer is None:
                self._expect_header()
        super().data_received(data)
        if self._in_header and self._pending_bytes > self.header_bytes and not self.transport.is_closing():
            self._too_long = True
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Stop the clock; a header that came whole in one piece is measured here."""
        self._stop_timer()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.header_bytes:
            self._too_long = True
            raise ValueError("the header is too long")  # the parser stops, and uvicorn refuses the request
        self._in_header = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect another header on the same connection; its clock starts with its first byte."""
        super().on_message_complete()
        self._in_header, self._pending_bytes = True, 0

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser does not take; say so when it was too long."""
        if self._too_long:
            self.transport.write(_TOO_LONG)
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _expect_header(self) -> None:
        self._timer = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded_protocol(seconds: float, size: int) -> type[BoundedProtocol]:
    """Return the protocol with these limits; uvicorn takes a class."""

    class Configured(BoundedProtocol):
        header_seconds = seconds
        header_bytes = size

    return Configured
