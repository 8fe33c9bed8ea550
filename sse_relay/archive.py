"""The archive: tasks that are no longer in memory, or only in part, read again from Kafka.

Many readers of one task share one read. What was read becomes an ordinary log of the hub, so the history's budget is
its cache. Overflow policy: the one that finds no place in the queue is told `overloaded`.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from contracts.cursor import Position
from contracts.task import OwnerId, TaskId
from sse_relay.errors import Overload, RelayError
from sse_relay.hub import Hub
from sse_relay.log import TaskLog
from sse_relay.record import Kind
from sse_relay.settings import Settings
from sse_relay.tally import Tally

_Answer = TypeVar("_Answer")
_MAX_SCAN_COUNT = 3
"""How often a task is read while what comes in meanwhile leaves memory again. Then its readers are told."""


@dataclass(frozen=True, slots=True)
class OldRecord:
    """One record of a task, as it is in Kafka."""

    offset: int
    kind: Kind
    sequence: int
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OldRecords:
    """A task's records from its start on, and the offset up to which they are all there is."""

    owner: OwnerId
    records: Sequence[OldRecord]
    next_offset: int


class Scanner(Protocol):
    """Reads Kafka in a thread; every call is bounded in time."""

    def scan(self, task_id: TaskId, start: Position, until: int) -> OldRecords:
        """Return a task's records up to its end or to an offset; raise UnknownTask, TaskGone or Overload."""
        ...

    def high_watermark(self, partition: int) -> int:
        """Return where a partition ends; raise Overload when Kafka does not say."""
        ...


class Archive:
    """Restores logs into the hub."""

    def __init__(self, settings: Settings, hub: Hub, tally: Tally, scanner: Scanner) -> None:
        self._queue_count = settings.max_archive_reads + settings.max_archive_queue
        self._hub = hub
        self._tally = tally
        self._scanner = scanner
        self._threads = ThreadPoolExecutor(settings.max_archive_reads, thread_name_prefix="archive")
        self._pending_count = 0
        self._reading: dict[tuple[int, TaskId], asyncio.Task[TaskLog]] = {}

    async def restore(self, task_id: TaskId, start: Position) -> TaskLog:
        """Return the whole log of a task, which is then in the hub; raise UnknownTask, TaskGone or Overload."""
        key = (start.partition, task_id)
        if key not in self._reading:
            reading = asyncio.get_running_loop().create_task(self._restore(task_id, start))
            self._reading[key] = reading
            reading.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(self._reading[key])

    async def ends_before(self, position: Position) -> bool:
        """Ask Kafka whether its log ends before a position; raise Overload when it does not say."""
        return await self._in_thread(self._scanner.high_watermark, position.partition) <= position.offset

    def close(self) -> None:
        """Take no more reads; those in flight end by their own deadlines."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, key: tuple[int, TaskId], done: asyncio.Task[TaskLog]) -> None:
        """Let a read go; its error may have lost everybody who waited for it."""
        del self._reading[key]
        if not done.cancelled():
            done.exception()

    async def _restore(self, task_id: TaskId, start: Position) -> TaskLog:
        try:
            log = await self._read(task_id, start)
        except RelayError as error:
            self._tally.archive[type(error).__name__] += 1
            raise
        self._tally.archive["read"] += 1
        self._hub.restore(log)
        return log

    async def _read(self, task_id: TaskId, start: Position) -> TaskLog:
        """Return the log of what is in Kafka, and of what has come in while that was read."""
        for _ in range(_MAX_SCAN_COUNT):
            before = self._hub.find(task_id, start.partition)
            until = self._hub.partitions[start.partition].next_offset
            found = await self._in_thread(self._scanner.scan, task_id, start, until)
            log = _build(task_id, start, found)
            newer = self._hub.find(task_id, start.partition)
            if not log.ended and self._has_dropped(log, before, newer, found.next_offset):
                continue
            if newer is not None and not log.ended:
                log.extend(newer, found.next_offset)
            return log
        raise Overload("archive_behind")

    def _has_dropped(self, log: TaskLog, before: TaskLog | None, newer: TaskLog | None, next_offset: int) -> bool:
        """Tell whether records behind those that were read may have come in and left memory already."""
        if newer is not None and newer is before:
            return newer.lost >= next_offset
        gone = self._hub.owner(log.owner).lost.get(log.partition, -1)
        return max(gone, self._hub.partitions[log.partition].forgotten) >= next_offset

    async def _in_thread(self, function: Callable[..., _Answer], *arguments: object) -> _Answer:
        if self._pending_count >= self._queue_count:
            raise Overload("archive_full")
        self._pending_count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self._pending_count -= 1


def _build(task_id: TaskId, start: Position, found: OldRecords) -> TaskLog:
    log = TaskLog(task_id, found.owner, start.partition)
    for record in found.records:
        log.append(record.offset, record.kind, record.sequence, record.value)
    log.touched = time.monotonic()
    return log
