"""The log reader: a bounded look at a range of one partition, beside all that is consumed live."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_processors.errors import LogStalled
from stream_processors.wary_client import running

_FETCH_BYTES = 1 << 20
_BATCH_COUNT = 500
_POLL_MS = 500
_STALLED_POLLS = 60


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as it is in the log."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None = field(repr=False)
    headers: Sequence[tuple[str, bytes]] = field(repr=False)


class LogReader:
    """Reads ranges of partitions; each call has a connection of its own and gives it back."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def read(
        self, topic: str, partition: int, start: int, *, committed_only: bool = False
    ) -> AsyncGenerator[list[LogRecord], None]:
        """Yield the records from an offset to where the partition ends now, in batches.

        A start that retention has passed moves to the oldest record there is. Raises LogStalled after 30 s without
        progress.
        """
        async with running(self._consumer(committed_only=committed_only)) as consumer:
            tp = TopicPartition(topic, partition)
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            async with aclosing(_read_up_to(consumer, tp, start, end)) as batches:
                async for batch in batches:
                    yield batch

    async def read_last(self, topic: str, partition: int, count: int) -> AsyncGenerator[list[LogRecord], None]:
        """Yield the records of the last `count` offsets of a partition, in batches; raises as `read` does."""
        async with running(self._consumer(committed_only=False)) as consumer:
            tp = TopicPartition(topic, partition)
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            async with aclosing(_read_up_to(consumer, tp, max(0, end - count), end)) as batches:
                async for batch in batches:
                    yield batch

    async def read_one(self, topic: str, partition: int, offset: int) -> LogRecord | None:
        """Return the record at an offset; None when there is none."""
        async with aclosing(self.read(topic, partition, offset)) as batches:
            async for batch in batches:
                return batch[0] if batch[0].offset == offset else None
        return None

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """Return the offset of the first record that is not older than a time; None when all are."""
        async with running(self._consumer(committed_only=False)) as consumer:
            tp = TopicPartition(topic, partition)
            found = (await consumer.offsets_for_times({tp: timestamp_ms}))[tp]
            return None if found is None else int(found.offset)

    def _consumer(self, *, committed_only: bool) -> Any:
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed" if committed_only else "read_uncommitted",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
        )


def _log_record(record: Any) -> LogRecord:
    return LogRecord(record.offset, record.timestamp, record.key, record.value, record.headers)


async def _read_up_to(consumer: Any, tp: TopicPartition, start: int, end: int) -> AsyncGenerator[list[LogRecord], None]:
    consumer.seek(tp, start)
    stalled = 0
    while await consumer.position(tp) < end:
        found = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_BATCH_COUNT)
        batch = [_log_record(record) for record in found.get(tp, ()) if record.offset < end]
        stalled = 0 if batch else stalled + 1
        if stalled > _STALLED_POLLS:
            raise LogStalled(f"{tp.topic}-{tp.partition} gives nothing before offset {end}")
        if batch:
            yield batch
