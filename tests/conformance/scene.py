"""One test's tasks and viewers: an owner that nobody else has, its records, and the requests of its clients."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import httpx2
from aiokafka.partitioner import murmur2
from typing_extensions import override

from contracts.attempt import Attempt
from contracts.codec import Record
from contracts.cursor import Position
from contracts.events import Event
from contracts.task import TaskId, new_task_id
from tests.conformance.strict_stream import StrictStream
from tests.conformance.target import Target
from tests.support.event_stream import StreamEvent
from tests.support.relay_events import TaskStory, record
from tests.support.relay_viewer import StreamViewer

WAIT_SECONDS = 20.0


class StrictViewer(StreamViewer):
    """A client that fails on whatever the protocol does not allow."""

    def __init__(self, url: str, ticket: str, cursor: str = "", **headers: str) -> None:
        super().__init__(url, ticket, cursor, **headers)
        self.stream: StrictStream = StrictStream()

    @override
    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self.status == 204:
            assert not await self.rest(), "204 has no events"
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)

    @property
    def ids(self) -> list[str]:
        return [event.last_event_id for event in self.events]

    async def take(self, count: int) -> list[StreamEvent]:
        """Return the next events."""
        return [await self.next(WAIT_SECONDS) for _ in range(count)]


def root(partition: object = "") -> str:
    """Return what a path begins with, by whether it names a partition."""
    return "/v1" if partition == "" else f"/v1/partitions/{partition}"


class Scene:
    """Publishes and reads for one owner."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.owner = f"conformance-{secrets.token_hex(8)}"
        self._starts: dict[TaskId, Position] = {}
        self._last: dict[TaskId, Event] = {}

    # Writing

    def publish(self, *events: Event, owner: str = "") -> list[Position]:
        """Publish events; the first of a task is where its tickets begin."""
        written = self.publish_records([record(event, owner or self.owner) for event in events])
        for event, position in zip(events, written, strict=True):
            self._starts.setdefault(event.task_id, position)
            self._last[event.task_id] = event
        return written

    def publish_records(self, records: list[Record]) -> list[Position]:
        return self.target.writer.write(records)

    def begin(self, *texts: str, owner: str = "") -> TaskStory:
        """Return a task that is accepted, started, and has said `texts`."""
        story = TaskStory(new_task_id())
        self.publish(story.accepted(), story.started(), *map(story.delta, texts), owner=owner)
        return story

    def publish_ignored(self, story: TaskStory) -> list[Position]:
        """Publish what the rules ignore: a word of an attempt that is over."""
        return self.publish_records([record(TaskStory(story.task_id, Attempt(0, 1)).started(), self.owner)])

    def start(self, story: TaskStory) -> Position:
        return self._starts[story.task_id]

    # Reading

    def path(self, story: TaskStory, partition: object = "") -> str:
        return f"{root(partition)}/tasks/{story.task_id}/events"

    def ticket(self, story: TaskStory, owner: str = "") -> str:
        return self.target.tickets.for_task(story.task_id, self.start(story), owner or self.owner)

    def watch(
        self,
        story: TaskStory,
        cursor: str = "",
        *,
        query: str = "",
        partition: object = "",
        relay: str = "",
        owner: str = "",
    ) -> StrictViewer:
        url = f"{relay or self.target.url}{self.path(story, partition)}{query}"
        return StrictViewer(url, self.ticket(story, owner), cursor)

    def viewer(self, path: str, ticket: str) -> StrictViewer:
        return StrictViewer(self.target.url + path, ticket)

    def watch_owner(
        self, cursor: str = "", *, partition: object = "", relay: str = "", owner: str = ""
    ) -> StrictViewer:
        ticket = self.target.tickets.for_owner(owner or self.owner)
        return StrictViewer(f"{relay or self.target.url}{root(partition)}/events", ticket, cursor)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Open a bare connection, for what no HTTP client sends."""
        url = httpx2.URL(self.target.url)
        reader, writer = await asyncio.open_connection(url.host, url.port or 80)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def get(
        self,
        path: str,
        ticket: str = "",
        *,
        params: Mapping[str, str] | None = None,
        headers: list[tuple[str, str]] | None = None,
        method: str = "GET",
    ) -> httpx2.Response:
        """Return an answer that is expected to end."""
        named = [*(headers or []), *([("Authorization", f"Bearer {ticket}")] if ticket else [])]
        sent = [(name.encode(), value.encode()) for name, value in named]  # whatever it is: UTF-8, as a browser would
        async with httpx2.AsyncClient(timeout=WAIT_SECONDS) as client:
            return await client.request(method, self.target.url + path, params=params, headers=sent)

    async def reach(self, story: TaskStory, *, relay: str = "", owner: str = "") -> str:
        """Wait until a viewer has seen the task's last event, and return the cursor that it then has."""
        last = self._last[story.task_id]
        async with self.watch(story, relay=relay, owner=owner) as viewer:
            assert viewer.status == 200, f"the stream of a task that exists got {viewer.status}"
            while True:
                event = await viewer.next(WAIT_SECONDS)
                if (event.json["attempt"], event.json["sequence"]) == (str(last.attempt), last.sequence):
                    return event.last_event_id

    def neighbour(self, story: TaskStory) -> TaskStory:
        """Return a new task on the same partition as another one."""
        return self.neighbour_on(self.start(story).partition)

    def neighbour_on(self, partition: int) -> TaskStory:
        """Return a new task on a partition."""
        count = self.target.topics.partition_count
        while True:
            task_id = new_task_id()
            if (murmur2(task_id.encode()) & 0x7FFFFFFF) % count == partition:
                return TaskStory(task_id)

    async def pass_by(self, story: TaskStory, *, relay: str = "") -> None:
        """Wait until the relay has read everything of a task, also what it ignores: a neighbour behind it is seen."""
        neighbour = self.neighbour(story)
        self.publish(neighbour.accepted())
        await self.reach(neighbour, relay=relay)

    async def write_watched(self, *texts: str) -> "Watched":
        """Publish a task from its beginning to its end while somebody watches it, so that every id is known."""
        story = TaskStory(new_task_id())
        self.publish(story.accepted())
        async with self.watch(story) as viewer:
            await viewer.next(WAIT_SECONDS)
            events: list[Event] = [story.started(), *map(story.delta, texts), story.completed(), story.succeeded()]
            self.publish(*events)
            seen = await viewer.rest(WAIT_SECONDS)
        return Watched(story, seen)


class Watched:
    """A finished task and what its first viewer got: the snapshot, and each event behind it."""

    def __init__(self, story: TaskStory, events: list[StreamEvent]) -> None:
        self.story = story
        self.events = events
        self.ids = [event.last_event_id for event in events]

    def behind(self, index: int) -> list[tuple[str, str, str]]:
        """Return what a client that has `ids[index]` is still to get."""
        return plain(self.events[index + 1 :])


def plain(events: list[StreamEvent]) -> list[tuple[str, str, str]]:
    """Return events as tuples that compare and print well."""
    return [(event.type, event.last_event_id, event.data) for event in events]
