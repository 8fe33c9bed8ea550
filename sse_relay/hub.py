"""The hub: all logs and all subscribers of this process, and the one place where a batch from Kafka is dispatched."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import structlog

from contracts.errors import MalformedRecord, RecordError, TaskIdError, UnknownType, UnsupportedSchema
from contracts.lifecycle import Verdict
from contracts.task import OwnerId, TaskId, parse_task_id
from sse_relay.history import History
from sse_relay.log import APPLY, TaskLog
from sse_relay.owner import OwnerLog, composite
from sse_relay.partition import Partition
from sse_relay.record import HeaderReader, KafkaMessage, has_json_object, owner_of
from sse_relay.seats import Seats
from sse_relay.subscriber import CHUNK_BYTES, OwnerSubscriber, Subscriber, TaskSubscriber, with_cursor
from sse_relay.tally import Tally

_MAX_EMPTY_OWNERS = 10_000
_MAX_WARM_TASKS = 256
_log = structlog.get_logger(__name__)


class Hub:
    """Everything that runs on the loop: single-threaded, never awaiting in the middle of a batch."""

    def __init__(self, partitions: Sequence[int], seats: Seats, tally: Tally, *, max_bytes: int, max_task_bytes: int):
        self.partitions = {number: Partition(number) for number in partitions}
        self.owners: dict[OwnerId, OwnerLog] = {}
        self.subscribers: set[Subscriber] = set()
        self.empty = asyncio.Event()
        """Set while there is no subscriber."""
        self.empty.set()
        self.watched: set[TaskLog] = set()
        """Tasks with live subscribers."""
        self.watched_owners: set[OwnerLog] = set()
        self.seats = seats
        self.tally = tally
        self.history = History(max_bytes, max_task_bytes, tally, evict=self._evict, lose=self._lose)
        self._headers = HeaderReader()
        self._warm: dict[TaskLog, None] = {}
        self._empty_owners: dict[OwnerLog, None] = {}

    # Records

    def take(self, messages: Sequence[KafkaMessage]) -> None:
        """Take a batch in and dispatch it: one write for each subscriber that is live."""
        changed: dict[TaskLog, int] = {}
        changed_owners: dict[OwnerLog, None] = {}
        rest = iter(messages)
        while not self._take_in(rest, changed, changed_owners):
            self.tally.skipped["unexpected"] += 1
        self.tally.batch_count += 1
        self.tally.record_count += len(messages)
        self._dispatch(changed, changed_owners)
        for partition in self.partitions.values():
            if partition.awaited:
                partition.reach(partition.next_offset)

    def _take_in(
        self, rest: Iterator[KafkaMessage], changed: dict[TaskLog, int], changed_owners: dict[OwnerLog, None]
    ) -> bool:
        """Append records to their tasks' logs; return False behind one that failed in a way that nobody expected."""
        partitions, watched_owners = self.partitions, self.watched_owners
        try:
            for message in rest:
                partition = partitions[message.partition()]
                offset = message.offset()
                if offset < partition.next_offset:
                    self.tally.skipped["read_before"] += 1
                    continue
                partition.next_offset = offset + 1
                log = self._append(partition, offset, message, changed)
                if watched_owners and log is not None and (owner := self.owners[log.owner]) in watched_owners:
                    owner.unsent.append((partition.number, offset, log.frames[-1]))
                    changed_owners[owner] = None
        except Exception as error:  # noqa: BLE001 - the rim: the rest of the batch would be lost, it is not read again
            _log.error("record.failed", reason=type(error).__name__)  # the type only: a message could hold a text
            return False
        return True

    def _append(
        self, partition: Partition, offset: int, message: KafkaMessage, changed: dict[TaskLog, int]
    ) -> TaskLog | None:
        """Append a record to its task's log; return the log if the record counts."""
        try:
            kind, sequence, owner = self._headers.read(message.headers() or ())
            value, key = message.value(), message.key()
            if not has_json_object(value):
                raise MalformedRecord("value", "not a JSON object")
            log = partition.logs.get(key or b"")
            if log is None:
                if key in partition.ended:
                    self.tally.ignored[Verdict.AFTER_END] += 1
                    return None
                log = self._new_log(partition, key, owner)
        except RecordError as error:
            self.tally.skipped[_reason(error)] += 1
            return None
        if log not in changed:
            changed[log] = log.size_bytes
            log.unsent = len(log.frames)
        verdict = log.append(offset, kind, sequence, value)
        if verdict is not APPLY:
            self.tally.ignored[verdict] += 1
            return None
        return log

    def _new_log(self, partition: Partition, key: bytes | None, raw_owner: bytes) -> TaskLog:
        log = TaskLog(_task_id(key), owner_of(raw_owner), partition.number)
        partition.logs[log.task_id.encode()] = log
        self._give(log)
        self.history.add(log)
        return log

    def _dispatch(self, changed: dict[TaskLog, int], changed_owners: dict[OwnerLog, None]) -> None:
        now, applied_count = time.monotonic(), 0
        for log in changed:
            count = len(log.frames) - log.unsent
            if not count:
                continue
            applied_count += count
            newest = self.owners[log.owner].last
            if log.last > newest.get(log.partition, -1):
                newest[log.partition] = log.last
            if log.live:
                self._send(log, now)
        self.tally.applied_count += applied_count
        for owner in changed_owners:
            self._send_owner(owner, now)
        for log, size_before in changed.items():
            log.touched = now
            self.history.grow(log, log.size_bytes - size_before)
        self.history.fit()

    def _send(self, log: TaskLog, now: float) -> None:
        frames = log.frames
        data = frames[-1] if log.unsent == len(frames) - 1 else b"".join(frames[log.unsent :])
        log.spoke = now
        if len(data) > CHUNK_BYTES or log.end is not None:
            before = log.offsets[log.unsent - 1] if log.unsent else log.lost
            for subscriber in tuple(log.live):
                self.unwatch(log, subscriber)
                subscriber.seen = before
                subscriber.catch_up()
            return
        for subscriber in tuple(log.live):  # a copy: a write may pause its subscriber, which then leaves
            write = subscriber.write  # in two steps: calling it as a method would look for one, each time in vain
            write(data)

    def _send_owner(self, owner: OwnerLog, now: float) -> None:
        before, parts = dict(owner.told), []
        for partition, offset, frame in owner.unsent:
            owner.told[partition] = offset
            parts.append(with_cursor(str(composite(owner.told)).encode(), frame))
        owner.unsent.clear()
        owner.spoke = now
        data = b"".join(parts)
        for subscriber in tuple(owner.live):
            if len(data) <= CHUNK_BYTES:
                subscriber.write(data)
                continue
            self.unwatch_owner(owner, subscriber)
            subscriber.seen = dict(before)
            subscriber.catch_up()

    # Tasks and owners

    def find(self, task_id: TaskId, partition: int | None) -> TaskLog | None:
        """Return a task's log; without a partition all are asked, and a whole log goes before a part of one."""
        key = task_id.encode()
        if partition is not None:
            known = self.partitions.get(partition)
            return known.logs.get(key) if known else None
        found = [log for each in self.partitions.values() if (log := each.logs.get(key))]
        return max(found, key=lambda log: log.whole, default=None)

    def owner(self, owner_id: OwnerId) -> OwnerLog:
        """Return what is known of an owner, who need not have been seen before."""
        owner = self.owners.get(owner_id)
        if owner is None:
            owner = self.owners[owner_id] = OwnerLog(owner_id)
            self._leave_empty(owner)
        return owner

    def _give(self, log: TaskLog) -> None:
        """Add a task to its owner's."""
        owner = self.owner(log.owner)
        owner.add(log)
        self._empty_owners.pop(owner, None)

    def restore(self, log: TaskLog) -> None:
        """Put a log that has been read again in the place of what was there of it."""
        key, partition = log.task_id.encode(), self.partitions[log.partition]
        if (old := partition.logs.get(key)) is not None:
            self._detach(old)
            for subscriber in tuple(self.subscribers):
                subscriber.replace_log(old, log)
        partition.logs[key] = log
        partition.ended.pop(key, None)
        self._give(log)
        self.history.add(log)
        self.history.fit()

    def begin(self, number: int, begin: int, high_watermark: int, cut: bool) -> None:
        """Say where reading of a partition begins, and whether older records are left out."""
        self.partitions[number].start(begin, high_watermark, cut=cut)

    def at_end(self, number: int, next_offset: int) -> None:
        """Say that a partition has nothing more for now."""
        self.partitions[number].end(next_offset)

    def reset(self, number: int, begin: int, high_watermark: int, cut: bool) -> None:
        """Begin a partition anew, because what was read of it is no longer what Kafka has."""
        partition = self.partitions[number]
        self.tally.reset_count += 1
        for log in list(partition.logs.values()):
            self._detach(log)
        for owner in self.owners.values():
            owner.forget(number)
        partition.logs.clear()
        partition.ended.clear()
        partition.forgotten = -1
        partition.next_offset = 0
        partition.start(begin, high_watermark, cut=cut)
        for subscriber in tuple(self.subscribers):
            subscriber.reset(number)

    def expire(self, idle_seconds: float) -> None:
        """Forget tasks that nothing has been heard of for so long that Kafka has lost them too."""
        limit = time.monotonic() - idle_seconds
        for partition in self.partitions.values():
            for log in [log for log in partition.logs.values() if log.touched < limit and not log.live]:
                self._evict(log)

    def snapshot(self, log: TaskLog) -> bytes:
        """Return a task's snapshot; what it was made of is kept for the tasks that were asked for last."""
        self._warm.pop(log, None)
        self._warm[log] = None
        if len(self._warm) > _MAX_WARM_TASKS:
            oldest = next(iter(self._warm))
            del self._warm[oldest]
            oldest.cool()
        return log.snapshot()

    def _lose(self, log: TaskLog) -> None:
        self.owners[log.owner].lose(log.partition, log.lost)

    def _evict(self, log: TaskLog) -> None:
        self._detach(log)
        if log.ended:
            self.partitions[log.partition].bury(log.task_id.encode())
        self.owners[log.owner].lose(log.partition, log.last)
        self.tally.evicted_count += 1

    def _detach(self, log: TaskLog) -> None:
        self.partitions[log.partition].logs.pop(log.task_id.encode(), None)
        self.history.remove(log)
        self._warm.pop(log, None)
        owner = self.owners[log.owner]
        owner.discard(log)
        self._leave_empty(owner)

    def _leave_empty(self, owner: OwnerLog) -> None:
        """Keep for a while what an owner without tasks and streams has lost, so that a resume can be told of it."""
        if owner.tasks or owner.reader_count:
            return
        self._empty_owners[owner] = None
        while len(self._empty_owners) > _MAX_EMPTY_OWNERS:
            oldest = next(iter(self._empty_owners))
            del self._empty_owners[oldest]
            if self.owners.get(oldest.owner) is oldest:
                del self.owners[oldest.owner]
            for number, offset in oldest.lost.items():
                self.partitions[number].forgotten = max(self.partitions[number].forgotten, offset)

    @property
    def caught_up(self) -> bool:
        """Whether every partition has been read to where it ended at the start."""
        return all(partition.caught_up for partition in self.partitions.values())

    # Subscribers

    def join(self, subscriber: Subscriber) -> None:
        """Take a subscriber in."""
        self.subscribers.add(subscriber)
        self.empty.clear()
        if isinstance(subscriber, OwnerSubscriber):
            subscriber.log.reader_count += 1
            self._empty_owners.pop(subscriber.log, None)

    def leave(self, subscriber: Subscriber) -> None:
        """Let a subscriber go."""
        self.subscribers.discard(subscriber)
        if not self.subscribers:
            self.empty.set()
        if isinstance(subscriber, OwnerSubscriber):
            subscriber.log.reader_count -= 1
            self._leave_empty(subscriber.log)

    def watch(self, log: TaskLog, subscriber: TaskSubscriber) -> None:
        """Make a subscriber live: it has everything of its task."""
        if not log.live:
            log.spoke = time.monotonic()
            self.watched.add(log)
        log.live.add(subscriber)

    def unwatch(self, log: TaskLog, subscriber: TaskSubscriber) -> None:
        """Make a subscriber no longer live."""
        log.live.discard(subscriber)
        if not log.live:
            self.watched.discard(log)

    def watch_owner(self, owner: OwnerLog, subscriber: OwnerSubscriber) -> None:
        """Make a subscriber live: it has everything of its owner."""
        if not owner.live:
            owner.spoke, owner.told = time.monotonic(), dict(owner.last)
            self.watched_owners.add(owner)
        owner.live.add(subscriber)

    def unwatch_owner(self, owner: OwnerLog, subscriber: OwnerSubscriber) -> None:
        """Make a subscriber no longer live."""
        owner.live.discard(subscriber)
        if not owner.live:
            self.watched_owners.discard(owner)


def _task_id(key: bytes | None) -> TaskId:
    try:
        return parse_task_id((key or b"").decode("ascii"))
    except (TaskIdError, UnicodeDecodeError):
        raise MalformedRecord("key", "not a task id") from None


def _reason(error: RecordError) -> str:
    match error:
        case UnknownType():
            return "unknown_type"
        case UnsupportedSchema():
            return "unsupported_schema"
        case _:
            return "malformed"
