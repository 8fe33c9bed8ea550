"""The projection: what one partition of the events tells of tasks that are open, that end, and that have ended.

Headers first: of the values only those of `task.accepted` and of first terminal events are read. A task is open from
its acceptance to its first terminal event, whichever attempt wrote that.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.codec import RecordHeader, decode_event, read_header, task_id_of
from contracts.commands import Limit
from contracts.cursor import Position
from contracts.errors import RecordError
from contracts.events import TaskAccepted, TaskStarted, TerminalEvent
from contracts.lifecycle import TaskState, reduce
from contracts.results import TaskResult
from contracts.task import OwnerId
from stream_processors.log_reader import LogRecord
from stream_processors.projector.reaper import Overdue

MAX_ENDED_COUNT = 1_000_000
_ACCEPTED = TaskAccepted.model_fields["type"].default
_STARTED = TaskStarted.model_fields["type"].default


@dataclass(frozen=True, slots=True)
class OpenTask:
    """What a result will need of an open task, and when it must have ended."""

    offset: int
    timestamp_ms: int
    owner: OwnerId
    edition: str
    school_level: str
    item: str
    limit: Limit
    accepted_at: datetime
    start_deadline: datetime
    end_deadline: datetime
    started: bool = False

    @property
    def deadline(self) -> datetime:
        """When something must have happened: a task in a queue that stands still is not told by any worker."""
        return self.end_deadline if self.started else min(self.start_deadline, self.end_deadline)


@dataclass(frozen=True, slots=True)
class Ending:
    """A task's end: its result, and whose it is."""

    result: TaskResult
    header: RecordHeader


class PartitionProjection:
    """The open and the ended tasks of one partition; `ended` are those that have a result already."""

    def __init__(self, partition: int, next_offset: int, ended: Mapping[bytes, int]) -> None:
        self._partition = partition
        self._open: dict[bytes, OpenTask] = {}
        self._ended = dict(ended)
        self.next_offset = next_offset
        self.unreadable_count = 0

    @property
    def low_watermark(self) -> int:
        """Where a successor has to begin: at the oldest open task's acceptance."""
        return next((task.offset for task in self._open.values()), self.next_offset)

    @property
    def open_count(self) -> int:
        """How many tasks are open."""
        return len(self._open)

    def add(self, record: LogRecord) -> Ending | None:
        """Take the next record in; return a task's end if this is it."""
        self.next_offset = record.offset + 1
        if record.key is None or record.key in self._ended:
            return None
        try:
            return self._apply(record.key, record, read_header(record.headers))
        except RecordError:
            self.unreadable_count += 1
            return None

    def overdue(self, before: datetime) -> list[Overdue]:
        """Return the tasks whose deadline was before a time."""
        return [
            Overdue(task_id_of(key), task.owner, task.offset, task.started)
            for key, task in self._open.items()
            if task.deadline < before
        ]

    def forget(self, before_ms: int) -> None:
        """Forget tasks that ended before a time, but never one that a successor would read again."""
        oldest_open = next((task.timestamp_ms for task in self._open.values()), before_ms)
        limit = min(before_ms, oldest_open)
        while self._ended:
            key = next(iter(self._ended))
            if len(self._ended) <= MAX_ENDED_COUNT and self._ended[key] >= limit:
                return
            del self._ended[key]

    def _apply(self, key: bytes, record: LogRecord, header: RecordHeader) -> Ending | None:
        if header.terminal:
            return self._end(key, record, header)
        if header.type == _ACCEPTED and key not in self._open:
            event = decode_event(key, record.value, record.headers)
            assert isinstance(event, TaskAccepted)
            self._open[key] = _opened(record, header.owner, event)
        elif header.type == _STARTED and (task := self._open.get(key)) is not None and not task.started:
            self._open[key] = replace(task, started=True)
        return None

    def _end(self, key: bytes, record: LogRecord, header: RecordHeader) -> Ending:
        event = decode_event(key, record.value, record.headers)
        assert isinstance(event, TerminalEvent)
        state = reduce(_state(key, self._open.pop(key, None)), event)
        self._ended[key] = record.timestamp_ms
        position = Position(self._partition, record.offset)
        return Ending(TaskResult.of(state, header.owner, event.versions, position), header)


def _opened(record: LogRecord, owner: OwnerId, event: TaskAccepted) -> OpenTask:
    # Interned: a hundred thousand open tasks share a handful of these words.
    return OpenTask(
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        owner=OwnerId(sys.intern(owner)),
        edition=sys.intern(event.edition),
        school_level=sys.intern(event.school_level),
        item=sys.intern(event.item),
        limit=event.limit,
        accepted_at=event.accepted_at,
        start_deadline=event.start_deadline,
        end_deadline=event.end_deadline,
    )


def _state(key: bytes, task: OpenTask | None) -> TaskState:
    state = TaskState(task_id_of(key))
    if task is None:
        return state
    return replace(
        state,
        started=task.started,
        edition=task.edition,
        school_level=task.school_level,
        item=task.item,
        limit=task.limit,
        accepted_at=task.accepted_at,
    )


def read_ended(records: Sequence[LogRecord]) -> dict[bytes, int]:
    """Return the tasks that have a result, with when it was written."""
    return {record.key: record.timestamp_ms for record in records if record.key is not None}
