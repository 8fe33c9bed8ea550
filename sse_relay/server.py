"""The HTTP server: uvicorn, which parses and answers, and lets go of a connection once it is a stream.

A stream in uvicorn keeps its parser, request and task alive (11 KB instead of 2) and pays for two awaits with each
write. So after the handshake the connection goes to its subscriber, as it would for a WebSocket upgrade. That reaches
into private names of uvicorn 0.54.0: the version is pinned, and tests hold the contract.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sse_relay.answer import TAKE_OVER
from sse_relay.settings import Settings
from sse_relay.subscriber import Subscriber

REQUEST_SECONDS = 10.0
"""How long a connection may take until its first request is complete."""


class TakeOver:
    """The right to take one request's connection out of the HTTP server."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: "StreamProtocol", cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def prepare(self) -> None:
        """Make the body one that ends with the connection, not a chunked one."""
        self._cycle.chunked_encoding = False

    def finish(self, subscriber: Subscriber, head: bytes) -> None:
        """Give the connection to a subscriber; if the peer is gone already, only its seat is given back."""
        transport = self._protocol.let_go(self._cycle)
        if transport is None:
            subscriber.seat.release()
            return
        transport.set_protocol(subscriber)  # before the first write, or `pause_writing` goes to the old protocol
        transport.write(head)
        subscriber.connection_made(transport)


class StreamProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with a bound on silence, and the take-over in each request's scope."""

    _hands_over = True
    _silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Give the peer some seconds for its request: uvicorn itself would wait for ever."""
        super().connection_made(transport)
        self._silence = self.loop.call_later(REQUEST_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for a request."""
        self._hear()
        super().connection_lost(exc)

    def _hear(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._hear()
        if self._hands_over:
            extensions = cast("dict[str, Any]", cycle.scope.setdefault("extensions", {}))
            extensions[TAKE_OVER] = TakeOver(self, cycle)
        super()._start_asgi_task(cycle, app)

    def let_go(self, cycle: RequestResponseCycle) -> asyncio.Transport | None:
        """Return the transport, and forget it; None when the peer is gone. Requests behind this one are dropped."""
        transport = self.transport
        if cycle.disconnected or transport is None or transport.is_closing():
            return None
        cycle.disconnected = True  # as far as uvicorn is concerned
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        self.flow.resume_reading()  # or the peer's end would go unnoticed
        self.connections.discard(self)
        gone = cast("Any", self)
        gone.cycle = gone.parser = gone.transport = gone.flow = gone.scope = gone.headers = None
        return transport


class PlainProtocol(StreamProtocol):
    """The same without the take-over: streams stay in the server."""

    _hands_over = False


class RelayServer(uvicorn.Server):
    """uvicorn's server; a signal begins a drain, and the process then ends with status 0."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal; a second Ctrl-C does not wait."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self._on_signal()


def build_server(app: Any, settings: Settings, on_signal: Callable[[], None]) -> RelayServer:
    """Return the server, which listens on nothing yet. Access logs are off: tickets are in URLs."""
    config = uvicorn.Config(
        app,
        http=StreamProtocol if settings.stream_mode == "take-over" else PlainProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=settings.backlog,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
    )
    return RelayServer(config, on_signal)


def listen(settings: Settings) -> socket.socket:
    """Return a bound socket whose options every connection inherits.

    They bound what a peer that does not read can swallow, and how long one that is gone looks alive (under 30 s).
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.socket_buffer_bytes)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _linux_options():
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
    listener.bind((settings.host, settings.port))
    listener.setblocking(False)
    return listener


def _linux_options() -> list[tuple[int, int]]:
    wanted = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
    return [(getattr(socket, name), value) for name, value in wanted.items() if hasattr(socket, name)]
