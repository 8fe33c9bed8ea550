"""The entrance: requests for streams are answered here, in front of Litestar, which answers everything else.

After a drop of the network everybody reconnects at once, and what Litestar does for each request (routing, injection, a
response object) then costs as much as all the rest. Its routes for streams stay: the OpenAPI document is made of them,
and they answer requests that are not in the plain form, by the same two functions.
"""

import re
from collections.abc import Awaitable

import orjson
from litestar.config.cors import CORSConfig
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from sse_relay.answer import EndAnswer, OverloadAnswer, ProblemAnswer, StreamAnswer
from sse_relay.authorisation import one_header, one_parameter
from sse_relay.errors import Overload, Refusal
from sse_relay.frame import encode_frame
from sse_relay.relay import Relay

_STREAM_PATH = re.compile(r"/v1(?:/partitions/([0-9]+))?(?:/tasks/([0-9a-f]{32}))?/events", re.ASCII)


class Entrance:
    """An ASGI application in front of another one."""

    def __init__(self, relay: Relay, rest: ASGIApp, cors: CORSConfig) -> None:
        self._relay = relay
        self._rest = rest
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a stream, or pass on what is something else."""
        answering = self._answering(scope)
        if answering is None:
            await self._rest(scope, receive, send)
            return
        try:
            answer = await answering
        except Refusal as refusal:
            answer = ProblemAnswer(refusal)
        await answer(scope, receive, self._with_origin(scope, send))

    def _answering(self, scope: Scope) -> Awaitable[ASGIApp] | None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
            return None
        if (stream := _STREAM_PATH.fullmatch(scope["path"])) is None:
            return None
        partition_text, task_text = stream.groups("")
        if task_text:
            return answer_task(self._relay, scope, task_text, partition_text)
        return answer_owner(self._relay, scope, partition_text)

    def _with_origin(self, scope: Scope, send: Send) -> Send:
        """Return a `send` that tells a page of an allowed origin that it may read."""
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")
        if not origin:
            return send
        allowed = [(b"vary", b"Origin")]
        if self._cors.is_origin_allowed(origin):
            allowed.append((b"access-control-allow-origin", origin.encode("latin-1")))

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allowed]
            await send(message)

        return send_with_origin


async def answer_task(relay: Relay, scope: HTTPScope, task_text: str, partition_text: str) -> ASGIApp:
    """Return the answer to a request for one task's stream; raise a Refusal."""
    ticket = relay.authorisation.verify(scope["headers"], scope["query_string"])
    cursor = _cursor(scope)
    try:
        relay.refuse_when_draining()
        subscriber = await relay.streams.open_task(ticket, task_text, cursor, partition_text)
    except Overload as overload:
        return _overloaded(relay, overload)
    if subscriber is None:
        relay.tally.stream_count["end"] += 1
        return EndAnswer()
    relay.tally.stream_count["resume" if cursor else "snapshot"] += 1
    return StreamAnswer(subscriber, relay.settings.retry_ms)


async def answer_owner(relay: Relay, scope: HTTPScope, partition_text: str) -> ASGIApp:
    """Return the answer to a request for the stream of everything of an owner; raise a Refusal."""
    ticket = relay.authorisation.verify(scope["headers"], scope["query_string"])
    cursor = _cursor(scope)
    try:
        relay.refuse_when_draining()
        subscriber = await relay.streams.open_owner(ticket, cursor, partition_text)
    except Overload as overload:
        return _overloaded(relay, overload)
    relay.tally.stream_count["owner_resume" if cursor else "owner_snapshot"] += 1
    return StreamAnswer(subscriber, relay.settings.retry_ms, _shard(relay) if partition_text else b"")


def _shard(relay: Relay) -> bytes:
    """Say which part of an owner's tasks a stream has: whoever asks for one partition gets those beside it as well."""
    settings = relay.settings
    content = {"partitions": settings.own_partitions, "partition_count": settings.partition_count}
    return encode_frame(b"shard", orjson.dumps(content))


def _cursor(scope: HTTPScope) -> str:
    """`Last-Event-ID` wins over `?after=`: a browser sends it by itself when it reconnects to the same URL."""
    header = one_header(scope["headers"], b"last-event-id")
    parameter = one_parameter(scope["query_string"], "after")
    return header or parameter


def _overloaded(relay: Relay, overload: Overload) -> ASGIApp:
    relay.tally.stream_count["overloaded"] += 1
    return OverloadAnswer(overload.reason, relay.settings.overload_retry_ms)
