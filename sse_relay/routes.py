"""The routes: litestar at the rim."""

from typing import Any, cast

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from litestar.types import ASGIApp

from sse_relay.answer import PROBLEM, problem_content
from sse_relay.entrance import answer_owner, answer_task
from sse_relay.errors import Refusal
from sse_relay.relay import Relay

_NO_STORE = {"Cache-Control": "no-store"}
_ROOTS = ("/v1", "/v1/partitions/{partition:str}")
RawRequest = Request[Any, Any, Any]


def _refusal(description: str) -> ResponseSpec:
    return ResponseSpec(dict[str, str | int], description=description, media_type=PROBLEM, generate_examples=False)


def _content(media_type: str, description: str) -> ResponseSpec:
    return ResponseSpec(str, description=description, media_type=media_type, generate_examples=False)


_STREAM_ANSWERS = {
    200: _content("text/event-stream", "The stream; docs/PROTOCOL.md names its events"),
    204: ResponseSpec(None, description="The cursor is the task's end: everything has been seen"),
    400: _refusal("Not a cursor of this stream, not its partition, or a repeated parameter"),
    401: _refusal("No ticket, an expired one, or not one of ours"),
    421: _refusal("Another relay owns the partition, or the URL has to name one"),
}
_TASK_REFUSALS = {
    401: _refusal("No ticket, an expired one, or not one of ours"),
    404: _refusal("No such task for this ticket"),
    410: _refusal("The task is older than what is kept"),
    421: _refusal("Another relay owns the partition, or the URL has to name one"),
}
_SNAPSHOT_ANSWERS = {
    200: _content("application/json", "The state, with the cursor that it is valid for"),
    400: _refusal("Not the task's partition, or a repeated parameter"),
    503: _refusal("Not caught up yet"),
}


@get(
    [f"{root}/tasks/{{task_id:str}}/events" for root in _ROOTS],
    summary="Watch one task",
    responses=_STREAM_ANSWERS | _TASK_REFUSALS,
)
async def watch_task(
    request: RawRequest, task_id: FromPath[str], relay: NamedDependency[Relay], partition: FromPath[str] = ""
) -> ASGIApp:
    """Stream one task: a snapshot or what is behind the cursor, then live, until its end."""
    return await answer_task(relay, request.scope, task_id, partition)


@get([f"{root}/events" for root in _ROOTS], summary="Watch everything of the ticket's owner", responses=_STREAM_ANSWERS)
async def watch_owner(request: RawRequest, relay: NamedDependency[Relay], partition: FromPath[str] = "") -> ASGIApp:
    """Stream all tasks of one owner, those that start later included."""
    return await answer_owner(relay, request.scope, partition)


@get(
    [f"{root}/tasks/{{task_id:str}}" for root in _ROOTS],
    summary="The state of one task",
    responses=_SNAPSHOT_ANSWERS | _TASK_REFUSALS,
)
async def read_task(
    request: RawRequest, task_id: FromPath[str], relay: NamedDependency[Relay], partition: FromPath[str] = ""
) -> Response[bytes]:
    """Return the snapshot of one task, with the cursor that it is valid for."""
    ticket = relay.authorisation.verify(request.scope["headers"], request.scope["query_string"])
    content = await relay.streams.snapshot(ticket, task_id, partition)
    return Response(content, media_type="application/json", headers=_NO_STORE)


@get("/livez", summary="The process runs")
async def livez() -> dict[str, str]:
    """Answer as long as the loop turns."""
    return {"status": "alive"}


@get("/readyz", summary="Streams are wanted")
async def readyz(relay: NamedDependency[Relay]) -> Response[dict[str, str]]:
    """Answer 200 once everything has been read that was there at the start, until the drain."""
    status = relay.status
    return Response({"status": status}, status_code=200 if status == "ready" else 503, headers=_NO_STORE)


@get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(relay: NamedDependency[Relay]) -> Response[bytes]:
    """Return all metrics in Prometheus' text format."""
    return Response(relay.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


HANDLERS = [watch_task, watch_owner, read_task, livez, readyz, metrics]


def answer_refusal(request: RawRequest, refusal: Refusal) -> Response[dict[str, object]]:
    """Return the problem document of a refusal (RFC 9457)."""
    return problem(refusal.status, refusal.slug, refusal.title, refusal.headers)


def answer_http_error(request: RawRequest, error: HTTPException) -> Response[dict[str, object]]:
    """Return the problem document of what Litestar refuses, without its details."""
    headers = cast("dict[str, str]", error.headers or {})
    allow = {name: value for name, value in headers.items() if name.lower() == "allow"}
    return problem(error.status_code, "http", "The request cannot be answered", allow)


def problem(status: int, slug: str, title: str, headers: dict[str, str]) -> Response[dict[str, object]]:
    """Return a problem document."""
    content = problem_content(status, slug, title)
    return Response(content, status_code=status, media_type=PROBLEM, headers={**_NO_STORE, **headers})
