"""Answers: what an HTTP request for a stream gets, as ASGI applications."""

import random
from typing import Any, cast

import orjson
from litestar.types import Receive, Scope, Send

from sse_relay.errors import Refusal
from sse_relay.frame import EVENT_STREAM, encode_frame, encode_retry
from sse_relay.plain_transport import serve
from sse_relay.subscriber import Subscriber

TAKE_OVER = "draftstream.take_over"
"""Key of the scope's extension that hands the connection over; see server.py."""

PROBLEM = "application/problem+json"
HEADERS = (
    (b"content-type", EVENT_STREAM),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"connection", b"close"),
)


class StreamAnswer:
    """Begins a stream, then leaves the connection to its subscriber."""

    def __init__(self, subscriber: Subscriber, retry_ms: int, first: bytes = b"") -> None:
        self._subscriber = subscriber
        self._head = encode_retry(jittered(retry_ms)) + first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        take_over = cast("dict[str, Any]", scope.get("extensions") or {}).get(TAKE_OVER)
        try:
            if take_over is not None:
                take_over.prepare()
            await _start(send)
        except BaseException:
            self._subscriber.seat.release()
            raise
        if take_over is not None:
            take_over.finish(self._subscriber, self._head)
        else:
            await serve(self._subscriber, self._head, receive, send)


class OverloadAnswer:
    """Says on a stream that there is no room, because EventSource would give up on a 503."""

    def __init__(self, reason: str, retry_ms: int) -> None:
        data = b'{"reason":"%b"}' % reason.encode()
        self._body = encode_retry(jittered(retry_ms)) + encode_frame(b"overloaded", data)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        await _start(send)
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


class EndAnswer:
    """204: everything has been seen; EventSource stops for good."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        headers = [(b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class ProblemAnswer:
    """A refusal as a problem document (RFC 9457)."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        refusal = self._refusal
        body = orjson.dumps(problem_content(refusal.status, refusal.slug, refusal.title))
        headers = [
            (b"content-type", PROBLEM.encode()),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(body)),
            *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
        ]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def problem_content(status: int, slug: str, title: str) -> dict[str, object]:
    """Return what a problem document says."""
    return {"type": f"/problems/{slug}", "title": title, "status": status}


def jittered(milliseconds: int) -> int:
    """Return one to three times as long, so that clients do not come back together."""
    return int(milliseconds * random.uniform(1, 3))  # noqa: S311 - spreads load


async def _start(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
