"""The emitter: the one voice of one attempt at a task.

One task of its own takes the events in order, stamps them and publishes them, so that a caller that is cancelled
neither leaves a hole in the sequence nor lets two records overtake each other.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from contracts.attempt import Attempt
from contracts.codec import Origin, Record, encode_event
from contracts.cursor import Position
from contracts.events import TaskEvent, VersionCompleted, VersionDelta, VersionFailed, VersionReplaced
from contracts.task import TaskId
from stream_processors.delta_pace import DeltaPace
from stream_processors.errors import EmitterEnded, NotAcknowledged

_MOST_QUEUED = 64

E = TypeVar("E", bound=TaskEvent)


class EventPublisher(Protocol):
    """Writes records to the events topic, in the order of its calls."""

    async def publish(self, record: Record) -> "asyncio.Future[Position]":
        """Wait for room in the buffer and take the record; the future is Kafka's acknowledgement."""


@dataclass(slots=True, eq=False)
class _Queued:
    """An event that waits for its turn; its fields are read when the turn comes."""

    event_type: type[TaskEvent]
    fields: dict[str, Any]
    acknowledged: "asyncio.Future[Position]"


@dataclass(slots=True, eq=False)
class _Joining:
    """Text of one version that is still being joined; it grows until its turn to be published has come."""

    version: int
    offset: int
    queued: _Queued | None = None
    timer: asyncio.TimerHandle | None = None
    pieces: list[str] = field(default_factory=list)
    character_count: int = 0


class Emitter:
    """Stamps attempt and sequence, joins deltas, keeps the order.

    Deltas of one version are joined for as long after the last published one as the pace says, which all emitters of a
    process share, or up to `delta_characters`; when Kafka is slow they are joined further. Any other event about a
    version publishes its delta first, an event about the whole task publishes all. At most 64 events wait for Kafka;
    then `emit` waits.

    When a record cannot be published every further call raises what the publisher raised.
    """

    def __init__(
        self,
        publisher: EventPublisher,
        task_id: TaskId,
        attempt: Attempt,
        origin: Origin,
        *,
        pace: DeltaPace | None = None,
        delta_characters: int = 200,
    ) -> None:
        self.task_id = task_id
        self.attempt = attempt
        self._publisher = publisher
        self._origin = origin
        self._pace = pace or DeltaPace()
        self._streaming: set[int] = set()
        self._delta_characters = delta_characters
        self._sequence = 0
        self._queue: deque[_Queued] = deque()
        self._joining: dict[int, _Joining] = {}
        self._lengths: dict[int, int] = {}
        self._delta_times: dict[int, float] = {}
        self._unacknowledged: set[asyncio.Future[Position]] = set()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._ended = False
        self._failure: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Whether a record could not be published, so that nothing more can be."""
        return self._failure is not None

    async def emit(self, event_type: type[E], **fields: Any) -> "asyncio.Future[Position]":
        """Queue an event behind all earlier ones; the future is Kafka's acknowledgement of it.

        Waits for room. A caller that is cancelled while it waits has written nothing.
        """
        await self._wait_for_room()
        for joining in self._joined_before(fields.get("version")):
            self._close(joining)
        if issubclass(event_type, VersionReplaced):
            self._lengths[fields["version"]] = len(fields["text"])
        if issubclass(event_type, VersionCompleted | VersionFailed):
            self._leave_pace(fields["version"])
        return self._put(_Queued(event_type, fields, asyncio.get_running_loop().create_future()))

    async def delta(self, version: int, text: str) -> None:
        """Add text to the end of a version."""
        self._check()
        if not text:
            return
        joining = self._joining.get(version) or self._open(version)
        joining.pieces.append(text)
        joining.character_count += len(text)
        self._lengths[version] = self._lengths.get(version, 0) + len(text)
        if joining.character_count >= self._delta_characters:
            self._enqueue(joining)

    async def finish(self, event_type: type[E], **fields: Any) -> Position:
        """Publish the terminal event; return its place once Kafka has acknowledged it and everything before it."""
        acknowledged = await self.emit(event_type, **fields)
        self._ended = True
        try:
            await asyncio.wait([acknowledged])
            if self._unacknowledged:
                await asyncio.wait(self._unacknowledged)
        finally:
            await self._stop()
        if self._failure is not None:
            raise self._failure
        return acknowledged.result()

    async def abandon(self) -> None:
        """Write nothing more: timers stop, what is queued is dropped."""
        self._ended = True
        await self._stop()

    def _open(self, version: int) -> _Joining:
        joining = _Joining(version, self._lengths.get(version, 0))
        self._joining[version] = joining
        self._join_pace(version)
        loop = asyncio.get_running_loop()
        due = self._delta_times.get(version, float("-inf")) + self._pace.seconds
        if due <= loop.time():
            self._enqueue(joining)
        else:
            joining.timer = loop.call_at(due, self._enqueue, joining)
        return joining

    def _join_pace(self, version: int) -> None:
        if version not in self._streaming:
            self._streaming.add(version)
            self._pace.join()

    def _leave_pace(self, version: int) -> None:
        if version in self._streaming:
            self._streaming.remove(version)
            self._pace.leave()

    def _enqueue(self, joining: _Joining) -> None:
        """Give joined text its turn in the queue; until that comes it goes on growing."""
        if joining.timer is not None:
            joining.timer.cancel()
            joining.timer = None
        if joining.queued is None:
            acknowledged = asyncio.get_running_loop().create_future()
            joining.queued = _Queued(VersionDelta, {"version": joining.version, "offset": joining.offset}, acknowledged)
            self._put(joining.queued)

    def _close(self, joining: _Joining) -> None:
        """Let joined text grow no more."""
        self._enqueue(joining)
        queued = cast("_Queued", joining.queued)
        queued.fields["text"] = "".join(joining.pieces)
        if self._joining.get(joining.version) is joining:
            del self._joining[joining.version]

    def _joined_before(self, version: int | None) -> list[_Joining]:
        """List the deltas that must be out before an event about a version, or about the whole task."""
        return [joining for joining in self._joining.values() if version in (None, joining.version)]

    def _put(self, queued: _Queued) -> "asyncio.Future[Position]":
        if self._pump is None:
            self._pump = asyncio.create_task(self._publish_all(), name=f"emitter {self.task_id}")
            self._pump.add_done_callback(self._pump_ended)
        self._queue.append(queued)
        self._work.set()
        return queued.acknowledged

    async def _wait_for_room(self) -> None:
        self._check()
        while len(self._queue) >= _MOST_QUEUED:
            self._room.clear()
            await self._room.wait()
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise EmitterEnded("the attempt has ended")

    async def _publish_all(self) -> None:
        while True:
            while not self._queue:
                self._work.clear()
                await self._work.wait()
            queued = self._queue.popleft()
            self._room.set()
            try:
                acknowledgement = await self._publisher.publish(self._stamp(queued))
            except BaseException as error:
                _settle(queued.acknowledged, error)
                raise
            self._sequence += 1
            self._unacknowledged.add(acknowledgement)
            acknowledgement.add_done_callback(partial(self._acknowledged, queued))

    def _stamp(self, queued: _Queued) -> Record:
        if queued.event_type is VersionDelta:
            version = queued.fields["version"]
            if (joining := self._joining.get(version)) is not None and joining.queued is queued:
                self._close(joining)
            self._delta_times[version] = asyncio.get_running_loop().time()
        event = queued.event_type(task_id=self.task_id, attempt=self.attempt, sequence=self._sequence, **queued.fields)
        return encode_event(event, self._origin)

    def _acknowledged(self, queued: _Queued, acknowledgement: "asyncio.Future[Position]") -> None:
        self._unacknowledged.discard(acknowledgement)
        if acknowledgement.cancelled():
            self._fail(NotAcknowledged("the publisher gave the record up"), queued)
        elif (error := acknowledgement.exception()) is not None:
            self._fail(error, queued)
        elif not queued.acknowledged.done():
            queued.acknowledged.set_result(acknowledgement.result())

    def _pump_ended(self, pump: "asyncio.Task[None]") -> None:
        error = NotAcknowledged("abandoned") if pump.cancelled() else pump.exception()
        while self._queue:
            _settle(self._queue.popleft().acknowledged, error or NotAcknowledged("abandoned"))
        if not pump.cancelled() and error is not None:
            self._failure = self._failure or error
        self._room.set()

    def _fail(self, error: BaseException, queued: _Queued) -> None:
        self._failure = self._failure or error
        _settle(queued.acknowledged, error)

    async def _stop(self) -> None:
        for joining in self._joining.values():
            if joining.timer is not None:
                joining.timer.cancel()
        self._joining.clear()
        for version in tuple(self._streaming):
            self._leave_pace(version)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])


def _settle(future: "asyncio.Future[Position]", error: BaseException) -> None:
    """Fail a future that its caller may well never look at."""
    if not future.done():
        future.set_exception(error if isinstance(error, Exception) else NotAcknowledged("abandoned"))
        future.exception()
