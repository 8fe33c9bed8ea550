"""A server for the page alone: the API and the relay of docs/PROTOCOL.md over a log in memory.

Real HTTP and real event streams, and every trouble that a page has to live with, at a test's command. For a look at the
page: `python -m tests.support.page_server`.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from contracts.commands import Limit, VersionPlan
from contracts.cursor import Cursor, Position
from contracts.events import Event
from contracts.lifecycle import TaskState, reduce
from contracts.snapshot import encode_snapshot
from contracts.task import TaskId, new_task_id
from producer_api.catalogue import catalogue_of
from student_records.edition import load_edition
from student_records.items import Item, SchoolLevel
from student_records.limits import limit_for
from student_records.viewpoints import viewpoints_for
from tests.support.sample_course import write_sample
from tests.support.scripted_task import ScriptedTask

WEB = Path(__file__).parents[2] / "web"
_SCHOOL_YEAR = 2026
_STREAM_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
_PAGE_POLICY = "default-src 'none'; connect-src 'self'"

OnSubmit = Callable[[ScriptedTask], Awaitable[None]]


@dataclass(frozen=True)
class Submission:
    """One request to make a task, as it arrived."""

    key: str
    body: dict[str, Any] = field(repr=False)
    answer: int


@dataclass(frozen=True)
class StreamOpening:
    """One request for the owner's stream, as it arrived."""

    ticket: str
    after: str
    last_event_id: str
    answer: int


@dataclass
class PageServer:
    """What a test says to the page, and what it heard from it."""

    simulated: bool = True
    on_submit: OnSubmit | None = None
    refusals: deque[int] = field(default_factory=deque)
    submissions: list[Submission] = field(default_factory=list)
    openings: list[StreamOpening] = field(default_factory=list)
    cancellations: list[TaskId] = field(default_factory=list)
    tasks: dict[TaskId, ScriptedTask] = field(default_factory=dict)
    is_overloaded: bool = False
    retry_ms: int = 100
    first_kept: int = 0
    url: str = ""
    _log: list[Event] = field(default_factory=list)
    _grown: asyncio.Event = field(default_factory=asyncio.Event)
    _tickets: set[str] = field(default_factory=set)
    _streams: dict[int, asyncio.BaseTransport] = field(default_factory=dict)
    _answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    _courses: set[asyncio.Task[None]] = field(default_factory=set)
    _runner: web.AppRunner | None = None
    _port: int = 0

    async def start(self) -> None:
        """Listen; again on the same port after a stop, as a restarted server does."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/v1/catalogue", self._catalogue),
                web.post("/v1/tasks", self._submit),
                web.post("/v1/tasks/{task_id}/cancel", self._cancel),
                web.post("/v1/tickets", self._ticket),
                web.get("/v1/events", self._events),
                web.get("/", self._page),
                web.static("/", WEB),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Go away in the middle of everything."""
        for course in self._courses:
            course.cancel()
        self.cut()
        if self._runner:
            await self._runner.cleanup()

    def new_task(self, item: str = "subject", school_level: str = "high", **times: Any) -> ScriptedTask:
        """Accept a task that nobody submitted here, as if another device had."""
        task = ScriptedTask(new_task_id(), self._publish)
        self.tasks[task.task_id] = task
        edition = load_edition(_SCHOOL_YEAR)
        limit = limit_for(edition, SchoolLevel(school_level), Item(item))
        plans = tuple(
            VersionPlan(version=number, viewpoint=viewpoint.id, title=viewpoint.title)
            for number, viewpoint in enumerate(viewpoints_for(edition, Item(item)), start=1)
        )
        task.accept(item, school_level, Limit(characters=limit.characters, bytes=limit.bytes), plans, **times)
        return task

    def cut(self) -> None:
        """Break every open stream, without a word."""
        for transport in self._streams.values():
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    def expire_tickets(self) -> None:
        """Accept no ticket that was given out so far."""
        self._tickets.clear()

    def forget(self) -> None:
        """Lose the history, as retention does."""
        self.first_kept = len(self._log)

    @property
    def stream_count(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def _publish(self, event: Event) -> None:
        self._log.append(event)
        self._grown.set()
        self._grown = asyncio.Event()

    async def _page(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "index.html", headers={"Content-Security-Policy": _policy()})

    async def _catalogue(self, _request: web.Request) -> web.Response:
        catalogue = catalogue_of(load_edition(_SCHOOL_YEAR), self.url, simulated=self.simulated)
        return web.Response(text=catalogue.model_dump_json(), content_type="application/json")

    async def _submit(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        body = await request.json()
        status = self.refusals.popleft() if self.refusals else 202
        self.submissions.append(Submission(key, body, status))
        if status != 202:
            return web.json_response({"type": "about:blank"}, status=status, headers={"Retry-After": "1"})
        if key not in self._answers:
            self._answers[key] = self._accept(body)
        return web.json_response(self._answers[key], status=202)

    def _accept(self, body: dict[str, Any]) -> dict[str, Any]:
        task = self.new_task(body["item"], body["school_level"])
        if self.on_submit:
            course = asyncio.ensure_future(self.on_submit(task))
            self._courses.add(course)
            course.add_done_callback(self._courses.discard)
        state = task.state
        assert state.limit
        assert state.accepted_at
        assert state.start_deadline
        assert state.end_deadline
        return {
            "task_id": task.task_id,
            "stage": "queued",
            "accepted_at": state.accepted_at.isoformat(),
            "start_deadline": state.start_deadline.isoformat(),
            "end_deadline": state.end_deadline.isoformat(),
            "limit": state.limit.model_dump(),
            "versions": [
                {"version": version.version, "viewpoint": version.viewpoint, "title": version.title}
                for version in state.versions
            ],
            "simulated": self.simulated,
        }

    async def _cancel(self, request: web.Request) -> web.Response:
        task_id = TaskId(request.match_info["task_id"])
        if task_id not in self.tasks:
            return web.json_response({"type": "about:blank"}, status=404)
        self.cancellations.append(task_id)
        return web.json_response({"task_id": task_id}, status=202)

    async def _ticket(self, _request: web.Request) -> web.Response:
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        links = {"events": f"{self.url}/v1/events"}
        return web.json_response({"ticket": ticket, "ticket_expires_at": expires_at, "links": links}, status=201)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        ticket, after = request.query.get("ticket", ""), request.query.get("after", "")
        last_event_id = request.headers.get("Last-Event-ID", "")
        status = 200 if ticket in self._tickets else 401
        self.openings.append(StreamOpening(ticket, after, last_event_id, status))
        if status != 200:
            return web.json_response({"type": "ticket-expired"}, status=status)
        stream = web.StreamResponse(headers=_STREAM_HEADERS)
        await stream.prepare(request)
        assert request.transport
        self._streams[id(request)] = request.transport
        try:
            with contextlib.suppress(ConnectionError):
                await self._send(stream, last_event_id or after)
        finally:
            del self._streams[id(request)]
        return stream

    async def _send(self, stream: web.StreamResponse, cursor: str) -> None:
        await stream.write(f"retry: {self.retry_ms}\n\n".encode())
        if self.is_overloaded:
            await stream.write(_frame("overloaded", b'{"reason":"streams"}'))
            return
        position = int(cursor.rpartition("-")[2]) + 1 if cursor else 0
        if not cursor or position < self.first_kept:
            if cursor:
                await stream.write(_frame("gap", b'{"reason":"retention"}'))
            position = await self._send_snapshots(stream)
        while True:
            grown = self._grown
            for event in self._log[position:]:
                await stream.write(_frame(event.type, event.model_dump_json().encode(), f"0-{position}"))
                position += 1
            await grown.wait()

    async def _send_snapshots(self, stream: web.StreamResponse) -> int:
        states: dict[TaskId, TaskState] = {}
        for event in self._log:
            states[event.task_id] = reduce(states.get(event.task_id, TaskState(event.task_id)), event)
        position = len(self._log)
        for state in states.values():
            cursor = Cursor(Position(0, position), end=state.ended)
            await stream.write(_frame("snapshot", encode_snapshot(state, cursor, overdue=False)))
        synced = f'{{"task_count":{len(states)}}}'.encode()
        await stream.write(_frame("synced", synced, f"0-{position - 1}" if position else ""))
        return position


def _frame(event_type: str, data: bytes, event_id: str = "") -> bytes:
    head = f"event: {event_type}\n" + (f"id: {event_id}\n" if event_id else "")
    return head.encode() + b"data: " + data + b"\n\n"


def _policy() -> str:
    return f"{_PAGE_POLICY}; script-src 'self'; style-src 'self'; img-src 'self'"


async def _show() -> None:
    server = PageServer(on_submit=write_sample)
    await server.start()
    print(server.url, flush=True)  # noqa: T201 - the address is what this command is for
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_show())
