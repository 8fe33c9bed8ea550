"""The historian: reads the history of a partition that was taken over, a few partitions at a time."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace

import structlog
from aiokafka.errors import KafkaError

from contracts.codec import read_request_header
from contracts.cursor import Position
from contracts.errors import RecordError
from contracts.topics import Topics
from stream_processors.dispatcher import History, Known
from stream_processors.errors import LogStalled, TaskEnded
from stream_processors.log_reader import LogReader, LogRecord
from stream_processors.takeover import PartitionFold

_AT_ONCE = 3
_ATTEMPT_COUNT = 5
_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class KafkaHistorian:
    """Folds a partition's events from where its oldest open request was accepted.

    No event that a worker wrote about an open request is older than that place: the request was in Kafka before any
    worker could begin it, and its acceptance before the request.
    """

    def __init__(self, reader: LogReader, topics: Topics) -> None:
        self._reader = reader
        self._topics = topics
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, partition: int, offset: int) -> History:
        """Fold a partition; raises what Kafka raised when it does so five times."""
        async with self._turn:
            for attempt in range(1, _ATTEMPT_COUNT + 1):
                try:
                    return await self._fold(partition, offset)
                except (KafkaError, LogStalled) as error:
                    log.warning("takeover.failed", partition=partition, attempt=attempt, error=type(error).__name__)
                    if attempt == _ATTEMPT_COUNT:
                        raise
                await asyncio.sleep(_PAUSE_SECONDS * attempt)
        raise AssertionError("the loop above returns or raises")

    async def _fold(self, partition: int, offset: int) -> History:
        if (start := await self._oldest_start(partition, offset)) is None:
            return History()
        began = time.monotonic()
        fold = PartitionFold()
        count, next_offset = 0, start.offset
        async with aclosing(self._reader.read(self._topics.events.name, partition, start.offset)) as batches:
            async for batch in batches:
                for record in batch:
                    fold.add(record.key, record.value, record.headers)
                count, next_offset = count + len(batch), batch[-1].offset + 1
                await asyncio.sleep(0)
        history = fold.history()
        log.info(
            "takeover.folded",
            partition=partition,
            record_count=count,
            known_count=len(history.known),
            ended_count=len(history.ended),
            seconds=round(time.monotonic() - began, 3),
        )
        return replace(history, tail=PartitionTail(self._reader, self._topics, partition, fold, next_offset))

    async def _oldest_start(self, partition: int, offset: int) -> Position | None:
        """Return where the oldest open request that says so was accepted; None when there is no such request."""
        async with aclosing(self._reader.read(self._topics.requests.name, partition, offset)) as batches:
            async for batch in batches:
                for record in batch:
                    if (start := _start(record)) is not None and start.partition == partition:
                        return start
        return None


class PartitionTail:
    """What a partition's log has got since it was folded; read on once for all who ask at the same time."""

    def __init__(
        self, reader: LogReader, topics: Topics, partition: int, fold: PartitionFold, next_offset: int
    ) -> None:
        self._reader = reader
        self._topic = topics.events.name
        self._partition = partition
        self._fold = fold
        self._next_offset = next_offset
        self._turn = asyncio.Lock()
        self._failure_count = 0

    async def recall(self, key: bytes, offset: int) -> Known | None:
        """Return what the log tells of a task up to an offset at least; None when it has ended.

        Raises what Kafka raises, and LogStalled.
        """
        failure_count = self._failure_count
        async with self._turn:
            if self._failure_count > failure_count:
                raise LogStalled("could not be read on a moment ago")  # those who waited share the failure
            if offset >= self._next_offset:
                try:
                    await self._read_on()
                except (KafkaError, LogStalled):
                    self._failure_count += 1
                    raise
        return None if self._fold.has_ended(key) else self._fold.known(key)

    async def _read_on(self) -> None:
        async with aclosing(self._reader.read(self._topic, self._partition, self._next_offset)) as batches:
            async for batch in batches:
                for record in batch:
                    self._fold.add(record.key, record.value, record.headers)
                self._next_offset = batch[-1].offset + 1


async def recall_task(reader: LogReader, topics: Topics, key: bytes, start: Position) -> Known | None:
    """Fold one task's events from the place of its acceptance to now; None when no worker wrote any.

    Raises TaskEnded, what Kafka raises, and LogStalled.
    """
    fold = PartitionFold()
    async with aclosing(reader.read(topics.events.name, start.partition, start.offset)) as batches:
        async for batch in batches:
            for record in batch:
                if record.key == key:
                    fold.add(record.key, record.value, record.headers)
            await asyncio.sleep(0)
    if fold.has_ended(key):
        raise TaskEnded("somebody else has ended it")
    return fold.history().known.get(key)


def _start(record: LogRecord) -> Position | None:
    try:
        return read_request_header(record.headers).start
    except RecordError:
        return None
