"""What the relay knows of one owner: the tasks, and how far each partition has been read for them."""

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING

from contracts.cursor import CompositeCursor, Position
from contracts.task import OwnerId
from sse_relay.log import TaskLog

if TYPE_CHECKING:
    from sse_relay.subscriber import OwnerSubscriber

MAX_SNAPSHOT_COUNT = 1000
"""Tasks in one owner's first answer: the newest ones."""


class OwnerLog:
    """All tasks of one owner. Frames stay in the tasks' logs; this only merges them."""

    __slots__ = ("last", "live", "lost", "owner", "reader_count", "spoke", "tasks", "told", "unsent")

    def __init__(self, owner: OwnerId) -> None:
        self.owner = owner
        self.tasks: dict[int, dict[TaskLog, None]] = {}
        self.last: dict[int, int] = {}
        """Offset of the newest record of this owner in each partition."""
        self.lost: dict[int, int] = {}
        """Offset of the newest record in each partition whose frame has been dropped."""
        self.live: set[OwnerSubscriber] = set()
        self.reader_count = 0
        """Open streams, live or behind."""
        self.told: dict[int, int] = {}
        """What of `last` the live subscribers have."""
        self.unsent: list[tuple[int, int, bytes]] = []
        """Partition, offset and frame of what the batch that is being taken in has brought."""
        self.spoke = 0.0

    def add(self, log: TaskLog) -> None:
        """Take a task in."""
        self.tasks.setdefault(log.partition, {})[log] = None

    def discard(self, log: TaskLog) -> None:
        """Forget a task, but not that something of it was there."""
        logs = self.tasks.get(log.partition, {})
        logs.pop(log, None)
        if not logs:
            self.tasks.pop(log.partition, None)

    def lose(self, partition: int, offset: int) -> None:
        """Remember that records of a partition up to an offset can no longer be replayed.

        Not those of old tasks that were read again: no stream of this owner was ever told of them.
        """
        if offset > self.last.get(partition, -1):
            return
        self.lost[partition] = max(offset, self.lost.get(partition, -1))

    def forget(self, partition: int) -> None:
        """Drop what was known of a partition that begins anew."""
        for known in (self.last, self.lost, self.told):
            known.pop(partition, None)

    @property
    def cursor(self) -> CompositeCursor:
        """The cursor of a client that has seen everything."""
        return composite(self.last)

    def holds(self, position: Position) -> bool:
        """Tell whether a position is a record of this owner that is still known."""
        logs = self.tasks.get(position.partition, {})
        return any(log.last == position.offset or log.holds(position.offset) for log in logs)

    def after(self, partition: int, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield offset and frame of all records of a partition behind an offset, in the log's order."""
        logs = [log for log in self.tasks.get(partition, {}) if log.last > offset]
        return heapq.merge(*(log.frames_after(offset) for log in logs))

    def recent(self) -> list[TaskLog]:
        """Return the tasks that a new viewer is told of."""
        each = MAX_SNAPSHOT_COUNT // max(1, len(self.tasks))
        return [log for logs in self.tasks.values() for log in list(logs)[-each:]]


def composite(offsets: dict[int, int]) -> CompositeCursor:
    """Return the cursor that names these offsets, by partition."""
    return CompositeCursor(tuple(Position(partition, offsets[partition]) for partition in sorted(offsets)))
