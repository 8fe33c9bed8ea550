"""Health: livez, readyz and metrics over HTTP, from a thread of its own so that a stuck event loop can be told."""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

_STUCK_SECONDS = 30.0

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class Pulse:
    """Tells whether the event loop still turns: somebody on it has to call `beat` every second or so."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """Note that the loop turns."""
        self._last = self._clock()

    @property
    def is_alive(self) -> bool:
        """Whether the loop has turned within the last thirty seconds."""
        return self._clock() - self._last < _STUCK_SECONDS


class HealthServer:
    """Answers `/livez`, `/readyz` and `/metrics`; 503 with the reasons when something is wrong."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, pulse: Pulse, complaints: Callable[[], list[str]]
    ) -> None:
        self._metrics = make_wsgi_app(registry)
        self._pulse = pulse
        self._complaints = complaints
        self._server = make_server(host, port, self._answer, _ThreadingServer, _SilentHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            metrics: Iterable[bytes] = self._metrics(environ, start_response)
            return metrics
        if path == "/livez":
            return _respond(start_response, [] if self._pulse.is_alive else ["the event loop stands still"])
        if path == "/readyz":
            return _respond(start_response, self._complaints())
        start_response(_status(HTTPStatus.NOT_FOUND), [("Content-Length", "0")])
        return []


class _ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass


def _respond(start_response: StartResponse, complaints: list[str]) -> list[bytes]:
    body = json.dumps({"ok": not complaints, "complaints": complaints}).encode()
    status = HTTPStatus.SERVICE_UNAVAILABLE if complaints else HTTPStatus.OK
    start_response(_status(status), [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _status(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"
