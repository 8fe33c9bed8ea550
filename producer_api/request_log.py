"""Reading the requests topic back: what was accepted in the idempotency window, here or by another process."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from pydantic import ValidationError

from contracts.codec import decode_request, read_header, read_request_header
from contracts.cursor import Position
from contracts.errors import RecordError
from contracts.task import TaskId
from producer_api.accepted_task import AcceptedTask
from producer_api.backoff import pauses
from producer_api.deadline import Deadline
from producer_api.errors import KafkaUnavailable
from producer_api.publisher import LATE
from producer_api.read_progress import ReadProgress
from producer_api.request_index import RequestIndex

_BATCH_RECORD_COUNT = 500
_START_SECONDS = 5.0
_STOP_SECONDS = 5.0
_IDLE_MS = 1_000
_CATCHING_UP_MS = 50

_log = structlog.get_logger()


class RequestLog:
    """A groupless consumer over all partitions of the requests topic, from the window's beginning to now and on."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partition_count: int,
        window: timedelta,
        index: RequestIndex,
        now: Callable[[], datetime],
    ) -> None:
        self.index = index
        self.caught_up = False
        self.skipped_count = 0
        self._bootstrap = bootstrap
        self._partitions = [TopicPartition(topic, number) for number in range(partition_count)]
        self._window = window
        self._now = now
        self._progress = ReadProgress()
        self._first: dict[int, int] = {}
        self._consumer: AIOKafkaConsumer | None = None

    @property
    def first_offsets(self) -> dict[int, int]:
        """Where the window begins in each partition."""
        return self._first

    def end_offsets(self) -> dict[int, int]:
        """Return the end of each partition, as the last fetch saw it."""
        consumer = self._consumer
        if consumer is None:
            return {}
        return {
            each.partition: max(consumer.highwater(each) or 0, self._progress.next_offset(each.partition) or 0)
            for each in self._partitions
        }

    async def settle(self, task: AcceptedTask, deadline: Deadline) -> AcceptedTask:
        """Return the first request in the log with the id of `task`, which is in the log: the one that counts."""
        await self._wait_past(task.position, deadline)
        return self.index.find(task.task_id) or task

    async def find_late(self, task_id: TaskId, deadline: Deadline) -> AcceptedTask | None:
        """Look for a task after reading up to the end of its partition: another process may just have accepted it."""
        if (task := self.index.find(task_id)) is not None:
            return task
        if (consumer := self._consumer) is None:
            raise KafkaUnavailable(LATE)
        partition = self._partitions[(murmur2(task_id.encode()) & 0x7FFFFFFF) % len(self._partitions)]
        try:
            async with deadline.limit():
                ends = await consumer.end_offsets([partition])
        except (KafkaError, TimeoutError):
            raise KafkaUnavailable(LATE) from None
        await self._wait_past(Position(partition.partition, ends[partition] - 1), deadline)
        return self.index.find(task_id)

    async def run(self) -> None:
        """Read until cancelled; begin again where it stopped when Kafka fails."""
        pause = pauses()
        while True:
            try:
                await self._run_once()
            except (KafkaError, OSError, TimeoutError) as error:
                _log.warning("requests.unread", error=type(error).__name__)
            await asyncio.sleep(next(pause))

    async def _run_once(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=5_000,
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                await consumer.start()
                await self._seek(consumer)
            self._consumer = consumer
            await self._catch_up(consumer)
            while True:
                await self._read(consumer, _IDLE_MS)
        finally:
            self._consumer = None
            self.caught_up = False
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await consumer.stop()

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign(self._partitions)
        since = int((self._now() - self._window).timestamp() * 1000)
        found = await consumer.offsets_for_times(dict.fromkeys(self._partitions, since))
        ends = await consumer.end_offsets(self._partitions)
        for each in self._partitions:
            first = found[each].offset if found.get(each) else ends[each]
            self._first[each.partition] = first
            consumer.seek(each, max(first, self._progress.next_offset(each.partition) or 0))

    async def _catch_up(self, consumer: AIOKafkaConsumer) -> None:
        """Read up to where the topic ended at the start; positions count, because expired records leave holes."""
        ends = await consumer.end_offsets(self._partitions)
        while True:
            positions = {each: await consumer.position(each) for each in self._partitions}
            for each, position in positions.items():
                self._progress.advance(each.partition, position)
            if all(positions[each] >= end for each, end in ends.items()):
                break
            await self._read(consumer, _CATCHING_UP_MS)
        self.caught_up = True
        _log.info("requests.read_back", task_count=len(self.index))

    async def _read(self, consumer: AIOKafkaConsumer, timeout_ms: int) -> None:
        batches = await consumer.getmany(timeout_ms=timeout_ms, max_records=_BATCH_RECORD_COUNT)
        if consumer._fetcher.error_future.done():
            raise KafkaError("fetching has ended")  # aiokafka would hand out nothing more, without a word
        for partition, records in batches.items():
            for record in records:
                self._note(record)
            self._progress.advance(partition.partition, records[-1].offset + 1)

    def _note(self, record: Any) -> None:
        try:
            header = read_header(record.headers)
            request = decode_request(record.key, record.value)
            position = Position(record.partition, record.offset)
            task = AcceptedTask.of(request, header.owner, read_request_header(record.headers), position)
        except (RecordError, ValidationError, ValueError) as error:
            self.skipped_count += 1
            _log.warning("request.skipped", error=type(error).__name__)
            return
        self.index.note(task)

    async def _wait_past(self, position: Position, deadline: Deadline) -> None:
        try:
            async with deadline.limit():
                await self._progress.wait_past(position)
        except TimeoutError:
            raise KafkaUnavailable(LATE) from None
