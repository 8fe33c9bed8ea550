"""A publisher that keeps what it is given, as Kafka would: in order, acknowledged a little later."""

import asyncio
from typing import Any, TypeVar

from contracts.codec import Record, decode_event
from contracts.cursor import Position
from contracts.events import Event, TaskEvent
from contracts.lifecycle import TaskState, fold
from contracts.task import TaskId

E = TypeVar("E", bound=TaskEvent)


class MemoryPublisher:
    """Acknowledges each record after `seconds`; with `has_room` cleared it takes none, with `failure` it refuses."""

    def __init__(self, seconds: float = 0.001) -> None:
        self._seconds = seconds
        self._changed = asyncio.Event()
        self.records: list[Record] = []
        self.acknowledged_count = 0
        self.times: list[float] = []
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.failure: Exception | None = None

    async def publish(self, record: Record) -> "asyncio.Future[Position]":
        await self.has_room.wait()
        if self.failure is not None:
            raise self.failure
        loop = asyncio.get_running_loop()
        position = Position(0, len(self.records))
        self.records.append(record)
        self.times.append(loop.time())
        self._changed.set()
        acknowledgement: asyncio.Future[Position] = loop.create_future()
        loop.call_later(self._seconds, self._acknowledge, acknowledgement, position)
        return acknowledgement

    def _acknowledge(self, acknowledgement: "asyncio.Future[Position]", position: Position) -> None:
        self.acknowledged_count += 1
        if not acknowledgement.done():
            acknowledgement.set_result(position)

    @property
    def events(self) -> list[Event]:
        """Everything published, read back from its bytes."""
        return [decode_event(record.key, record.value, record.headers) for record in self.records]

    def of(self, event_type: type[E], **fields: Any) -> list[E]:
        """The events of one kind with those fields."""
        return [
            event
            for event in self.events
            if isinstance(event, event_type) and all(getattr(event, name) == value for name, value in fields.items())
        ]

    def state(self, task_id: TaskId) -> TaskState:
        """What a reader of the log sees."""
        return fold(task_id, self.events)

    async def wait_for(self, event_type: type[E], **fields: Any) -> E:
        """Wait until such an event is published."""
        while not (found := self.of(event_type, **fields)):
            self._changed.clear()
            await self._changed.wait()
        return found[0]
