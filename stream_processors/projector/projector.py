"""The projector: from the events to the results, each task's in one Kafka transaction with the offsets it came from.

Exactly one result for each task, whatever happens: a partition's results are written with a transactional id of that
partition, so a new owner fences the old one before it reads where to begin; which tasks have a result already it reads
from the results themselves; and the committed offset is that of the oldest open task's acceptance, so that nothing of
an open task is ever behind it.
"""

import asyncio
import time
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from contracts.codec import Origin, encode_event, encode_result
from stream_processors.log_reader import LogReader, LogRecord
from stream_processors.projector.projection import Ending, PartitionProjection, read_ended
from stream_processors.projector.reaper import Overdue, conclude, read_courses
from stream_processors.reachability import wait_for_kafka
from stream_processors.settings import ProjectorSettings
from stream_processors.wary_client import close, make_wary, require_fetching

SOURCE = "stream_processors/projector"
_POLL_MS = 200
_BATCH_COUNT = 2000
_REAP_SECONDS = 1.0
_REAP_AGAIN_SECONDS = 60.0
_REAPED_AT_ONCE = 1000
"""Overdue tasks of one partition that one reading ends; the rest comes a second later."""
_PAUSE_SECONDS = 1.0
_TRANSACTION_SECONDS = 20.0

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Desk:
    """One partition that is worked on: its projection, and the producer that only its owner can use."""

    projection: PartitionProjection
    producer: AIOKafkaProducer
    committed: int
    committed_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class ProjectorCounts:
    """What has happened so far."""

    results: int = 0
    reaped: int = 0
    reopened: int = 0


class Projector(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Follows the events, writes results, and ends tasks whose deadline nobody kept."""

    def __init__(self, settings: ProjectorSettings) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._reader = LogReader(settings.bootstrap)
        self._desks: dict[int, _Desk] = {}
        self._lock = asyncio.Lock()
        self._ending = asyncio.Event()
        self._reaped: dict[str, float] = {}
        self._reaped_at = 0.0
        self._consumer: Any = None
        self._publisher: Any = None
        self.is_assigned = False
        self.counts = ProjectorCounts()

    @property
    def is_stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._ending.is_set()

    @property
    def open_count(self) -> int:
        """How many tasks are open."""
        return sum(desk.projection.open_count for desk in self._desks.values())

    @property
    def unreadable_count(self) -> int:
        """How many records of the partitions that are worked on could not be read."""
        return sum(desk.projection.unreadable_count for desk in self._desks.values())

    def stop(self) -> None:
        """Ask for the end; it comes after the transaction that is under way."""
        self._ending.set()

    async def run(self) -> None:
        """Project until asked to stop."""
        while not self._ending.is_set():
            try:
                if await wait_for_kafka(self._settings.bootstrap, self._ending):
                    await self._follow()
            except Exception as error:  # noqa: BLE001 - the rim: begin again from what is committed
                log.warning("projector.interrupted", error=type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Finish the transaction that is under way and let go of all partitions."""
        self.is_assigned = False
        async with self._lock:
            await self._close_desks()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Note the assignment; the partitions are opened one by one, outside the rebalance."""
        self.is_assigned = True
        log.info("assignment.taken", partition_count=len(assigned))

    async def _follow(self) -> None:
        self._consumer = self._new_consumer()
        self._publisher = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap, acks="all", enable_idempotence=True
        )
        make_wary(self._consumer._client)
        make_wary(self._publisher.client)
        self._consumer.subscribe([self._topics.events.name], listener=self)
        try:
            await self._publisher.start()
            await self._consumer.start()
            while not self._ending.is_set():
                await self._step()
        finally:
            self.is_assigned = False
            async with self._lock:
                await self._close_desks()
            await asyncio.gather(close(self._consumer), close(self._publisher))

    async def _step(self) -> None:
        for tp in self._consumer.assignment():
            if self._ending.is_set():
                return
            if tp.partition not in self._desks:
                async with self._lock:
                    await self._open_desk(tp)
        found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH_COUNT)
        require_fetching(self._consumer)
        async with self._lock:
            for tp, records in found.items():
                await self._work(tp, [_log_record(record) for record in records])
            for partition in list(self._desks):
                await self._work(TopicPartition(self._topics.events.name, partition), [])
            await self._reap()

    async def _open_desk(self, tp: TopicPartition) -> None:
        """Fence the last owner, then read where it was and which tasks have their result."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap,
            transactional_id=f"{self._settings.group}-{self._topics.prefix}-{tp.partition}",
        )
        make_wary(producer.client)
        try:
            await producer.start()
            start = await self._consumer.committed(tp)
            if start is None:
                start = (await self._consumer.beginning_offsets([tp]))[tp]
            ended = await self._read_ended(tp.partition, start)
            self._consumer.seek(tp, start)
        except BaseException:
            await close(producer)
            raise
        self._desks[tp.partition] = _Desk(PartitionProjection(tp.partition, start, ended), producer, start)
        log.info("partition.opened", partition=tp.partition, offset=start, ended_count=len(ended))

    async def _read_ended(self, partition: int, start: int) -> dict[bytes, int]:
        """Read which tasks have a result: those of the window, and of everything that is to be read again."""
        now_ms = int(time.time() * 1000)
        first = await self._reader.read_one(self._topics.events.name, partition, start)
        since_ms = now_ms - int(self._settings.ended_window_seconds * 1000)
        if first is not None:
            since_ms = min(since_ms, first.timestamp_ms)
        results = self._topics.results.name
        offset = await self._reader.offset_at(results, partition, since_ms)
        ended: dict[bytes, int] = {}
        if offset is not None:
            async with aclosing(self._reader.read(results, partition, offset, committed_only=True)) as batches:
                async for batch in batches:
                    ended.update(read_ended(batch))
        return ended

    async def _work(self, tp: TopicPartition, records: list[LogRecord]) -> None:
        if (desk := self._desks.get(tp.partition)) is None:
            return  # of an assignment that is over
        endings = [ending for record in records if (ending := desk.projection.add(record)) is not None]
        if not endings and not self._commit_is_due(desk):
            return
        try:
            await self._write(tp, desk, endings)
        except (KafkaError, TimeoutError) as error:
            # Fenced, or a transaction that failed: what was folded may be ahead of what is committed.
            log.warning("partition.reopened", partition=tp.partition, error=type(error).__name__)
            self.counts.reopened += 1
            await self._close_desk(tp.partition)

    def _commit_is_due(self, desk: _Desk) -> bool:
        is_time = time.monotonic() - desk.committed_at >= self._settings.commit_seconds
        return is_time and desk.projection.low_watermark != desk.committed

    async def _write(self, tp: TopicPartition, desk: _Desk, endings: list[Ending]) -> None:
        watermark = desk.projection.low_watermark
        writing = asyncio.create_task(self._transact(tp, desk, endings, watermark))
        done, _ = await asyncio.wait({writing}, timeout=_TRANSACTION_SECONDS)
        if not done:
            writing.cancel()  # left open: the next producer of its id aborts it
            raise TimeoutError
        await writing
        desk.committed, desk.committed_at = watermark, time.monotonic()
        self.counts.results += len(endings)
        desk.projection.forget(int((time.time() - self._settings.ended_window_seconds) * 1000))

    async def _transact(self, tp: TopicPartition, desk: _Desk, endings: list[Ending], watermark: int) -> None:
        async with desk.producer.transaction():
            for ending in endings:
                origin = Origin(ending.header.owner, SOURCE, ending.header.traceparent)
                record = encode_result(ending.result, origin)
                await desk.producer.send(
                    self._topics.results.name, record.value, key=record.key, headers=record.headers
                )
            await desk.producer.send_offsets_to_transaction({tp: watermark}, self._settings.group)

    async def _reap(self) -> None:
        """End tasks that nobody ended in time, where everything that is in the log has been read."""
        now = time.monotonic()
        if now - self._reaped_at < _REAP_SECONDS:
            return
        self._reaped_at = now
        self._reaped = {task: at for task, at in self._reaped.items() if now - at < _REAP_AGAIN_SECONDS}
        before = datetime.now(UTC) - timedelta(seconds=self._settings.reap_grace_seconds)
        for partition, desk in self._desks.items():
            highwater = self._consumer.highwater(TopicPartition(self._topics.events.name, partition))
            if highwater is None or desk.projection.next_offset < highwater:
                continue
            overdue = [task for task in desk.projection.overdue(before) if task.task_id not in self._reaped]
            await self._end_overdue(partition, overdue[:_REAPED_AT_ONCE], now)

    async def _end_overdue(self, partition: int, overdue: list[Overdue], now: float) -> None:
        courses = await read_courses(self._reader, self._topics.events.name, partition, overdue)
        for task in overdue:
            if (course := courses[task.task_id]).state.ended:
                continue  # a moment ago; the next records say so here too
            self._reaped[task.task_id] = now
            self.counts.reaped += 1
            event = conclude(course, datetime.now(UTC))
            log.warning("task.reaped", task_id=task.task_id, started=task.started, outcome=event.type)
            record = encode_event(event, Origin(task.owner, SOURCE))
            await self._publisher.send(self._topics.events.name, record.value, key=record.key, headers=record.headers)

    async def _close_desks(self) -> None:
        await asyncio.gather(*map(self._close_desk, list(self._desks)))

    async def _close_desk(self, partition: int) -> None:
        desk = self._desks.pop(partition)
        await close(desk.producer)

    def _new_consumer(self) -> Any:
        session_ms = int(self._settings.session_seconds * 1000)
        return AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap,
            group_id=self._settings.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 5,
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=300_000,
            fetch_max_wait_ms=_POLL_MS,
        )


def _log_record(record: Any) -> LogRecord:
    return LogRecord(record.offset, record.timestamp, record.key, record.value, record.headers)
