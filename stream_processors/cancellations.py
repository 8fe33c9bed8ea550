"""Cancellations: every worker reads them all, stops what runs here, and ends what waits in its partitions."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.codec import decode_cancellation
from contracts.errors import RecordError
from contracts.topics import Topics
from stream_processors.dispatcher import Delivery
from stream_processors.errors import LogStalled
from stream_processors.log_reader import LogReader, LogRecord
from stream_processors.wary_client import require_fetching, running

MAX_REMEMBERED_COUNT = 100_000
_POLL_MS = 1000
_PAUSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Tasks(Protocol):
    """What the dispatcher knows of tasks, and what it can do about them."""

    def cancel(self, key: bytes) -> bool:
        """Tell the task that runs under a key that it is cancelled; False when none does."""

    def may_be_queued(self, partition: int, keys: set[bytes]) -> set[bytes]:
        """Return those of the keys that neither run nor have ended here."""

    def next_offset(self, partition: int) -> int | None:
        """Return where the requests begin that have not been taken up."""

    async def withdraw(self, delivery: Delivery) -> None:
        """End a cancelled request that still waits for its turn."""


class Requested:
    """The tasks that somebody wants stopped: the newest 100,000, for as long as Kafka keeps them."""

    def __init__(self, lifetime: timedelta, clock: Callable[[], float] = time.time) -> None:
        self._lifetime_seconds = lifetime.total_seconds()
        self._clock = clock
        self._keys: dict[bytes, tuple[int, float]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes, partition: int, at_seconds: float) -> None:
        """Remember a cancellation; forget the oldest if there are too many."""
        self._keys.setdefault(key, (partition, at_seconds))
        oldest = self._clock() - self._lifetime_seconds
        while self._keys:
            first = next(iter(self._keys))
            if len(self._keys) <= MAX_REMEMBERED_COUNT and self._keys[first][1] >= oldest:
                return
            del self._keys[first]

    def of(self, partition: int) -> set[bytes]:
        """Return the keys of a partition."""
        return {key for key, (where, _) in self._keys.items() if where == partition}


class Cancellations:
    """Follows the cancellations topic, and looks through the requests that wait for those it names."""

    def __init__(self, bootstrap: str, topics: Topics, lifetime: timedelta, reader: LogReader) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._lifetime = lifetime
        self._reader = reader
        self._requested = Requested(lifetime)
        self._due: dict[int, set[bytes] | None] = {}
        """Partitions to look through, and for which keys; None is all."""
        self._wake = asyncio.Event()
        self.caught_up = asyncio.Event()
        self.unreadable_count = 0

    def is_cancelled(self, key: bytes) -> bool:
        """Whether somebody wants a task stopped."""
        return key in self._requested

    def look_through(self, partition: int, key: bytes | None = None) -> None:
        """Look soon whether a cancelled request waits in a partition: that with a key, or any."""
        wanted = self._due.setdefault(partition, set())
        if key is None or wanted is None:
            self._due[partition] = None
        else:
            wanted.add(key)
        self._wake.set()

    async def follow(self, tasks: Tasks) -> None:
        """Read cancellations until cancelled: from the topic's retention back, then as they come."""
        while True:
            try:
                await self._follow(tasks)
            except (KafkaError, LogStalled) as error:
                log.warning("cancellations.interrupted", error=type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def withdraw_queued(self, tasks: Tasks) -> None:
        """End cancelled requests that wait, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                partition, wanted = self._due.popitem()
                try:
                    await self._withdraw_from(partition, tasks, wanted)
                except (KafkaError, LogStalled) as error:
                    log.warning("cancellations.look_failed", partition=partition, error=type(error).__name__)
                    self.look_through(partition)
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self, tasks: Tasks) -> None:
        async with running(self._new_consumer()) as consumer:
            name = self._topics.cancellations.name
            partitions = [TopicPartition(name, number) for number in range(self._topics.partition_count)]
            consumer.assign(partitions)
            ends = await self._seek_back(consumer, partitions)
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS)
                require_fetching(consumer)
                for records in found.values():
                    for record in records:
                        self._hear(record, tasks)
                if not self.caught_up.is_set() and await _has_reached(consumer, ends):
                    self.caught_up.set()

    def _new_consumer(self) -> Any:
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )

    async def _seek_back(self, consumer: Any, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        since_ms = int((time.time() - self._lifetime.total_seconds()) * 1000)
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        for partition in partitions:
            start = starts.get(partition)
            consumer.seek(partition, ends[partition] if start is None else start.offset)
        return ends

    def _hear(self, record: Any, tasks: Tasks) -> None:
        try:
            decode_cancellation(record.key, record.value)
        except RecordError:
            self.unreadable_count += 1
            return
        if record.key in self._requested:
            return
        self._requested.add(record.key, record.partition, record.timestamp / 1000)
        if not tasks.cancel(record.key):
            self.look_through(record.partition, record.key)

    async def _withdraw_from(self, partition: int, tasks: Tasks, wanted: set[bytes] | None) -> None:
        keys = tasks.may_be_queued(partition, self._requested.of(partition) if wanted is None else wanted)
        start = tasks.next_offset(partition)
        if not keys or start is None:
            return
        async with aclosing(self._reader.read(self._topics.requests.name, partition, start)) as batches:
            async for batch in batches:
                for record in batch:
                    if record.key in keys:
                        keys.discard(record.key)
                        await tasks.withdraw(_delivery(partition, record))
                if not keys:
                    return


async def _has_reached(consumer: Any, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True


def _delivery(partition: int, record: LogRecord) -> Delivery:
    return Delivery(partition, record.offset, record.key, record.value, record.headers)
