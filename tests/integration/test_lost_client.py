"""A worker whose Kafka client breaks in the background is never alive but deaf, and nobody is blamed for its end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.attempt import Attempt
from contracts.codec import encode_event
from contracts.events import TaskExpired, TaskStarted, VersionDelta
from contracts.lifecycle import Stage
from contracts.task import new_task_id
from producer_api.kafka_connection import utc_now
from producer_api.request_index import RequestIndex
from producer_api.request_log import RequestLog
from stream_processors.cancellations import Cancellations
from stream_processors.dispatcher import Delivery
from stream_processors.log_reader import LogReader
from stream_processors.projector.projector import Projector
from stream_processors.settings import ProjectorSettings
from tests.support.worker import ORIGIN, KafkaClient, Log, WorkerFleet, a_request, fleet, kafka_client

SLOW = "[[pieces=20 pause=0.3]]"


@pytest.fixture
async def client(kafka: str, topic_prefix: str) -> AsyncIterator[KafkaClient]:
    async with kafka_client(kafka, topic_prefix, partition_count=1) as client:
        yield client


@pytest.fixture
def workers(client: KafkaClient, tmp_path: Path) -> Iterator[WorkerFleet]:
    with fleet(client.bootstrap, client.topics, tmp_path) as started:
        yield started


async def mark_of(client: KafkaClient) -> str:
    """Return what the group's commit says beside the offset."""
    partition = TopicPartition(client.topics.requests.name, 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=client.bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(f"{client.topics.prefix}-w", partitions=[partition])
    finally:
        await admin.close()
    return str(found[partition].metadata)


async def let_fetching_end(consumers: list[Any]) -> None:
    """End the background task of the first consumer as an error that nobody expected would."""
    async with asyncio.timeout(20):
        while not consumers or consumers[0]._fetcher is None:  # noqa: ASYNC110 - the consumer starts on this loop
            await asyncio.sleep(0.02)
    consumers[0]._fetcher._fetch_task.cancel()


class Listener:
    """Hears of cancellations."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def cancel(self, key: bytes) -> bool:
        self.heard.put_nowait(key)
        return True

    def may_be_queued(self, partition: int, keys: set[bytes]) -> set[bytes]:
        return set()

    def next_offset(self, partition: int) -> int | None:
        return None

    async def withdraw(self, delivery: Delivery) -> None:
        raise AssertionError(delivery)


async def test_cancellations_are_heard_again_after_fetching_has_ended(client: KafkaClient) -> None:
    consumers: list[Any] = []

    class Watched(Cancellations):
        def _new_consumer(self) -> Any:
            consumers.append(super()._new_consumer())
            return consumers[-1]

    cancellations = Watched(client.bootstrap, client.topics, timedelta(hours=1), LogReader(client.bootstrap))
    listener = Listener()
    following = asyncio.create_task(cancellations.follow(listener))
    await cancellations.caught_up.wait()
    await let_fetching_end(consumers)
    task = new_task_id()
    await client.cancel(task)
    async with asyncio.timeout(20):
        assert await listener.heard.get() == task.encode()
    assert len(consumers) == 2
    following.cancel()


async def test_the_projector_begins_again_after_fetching_has_ended(client: KafkaClient) -> None:
    consumers: list[Any] = []

    class Watched(Projector):
        def _new_consumer(self) -> Any:
            consumers.append(super()._new_consumer())
            return consumers[-1]

    settings = ProjectorSettings(
        bootstrap=client.bootstrap, topic_prefix=client.topics.prefix, partition_count=1, group=client.topics.prefix
    )
    projector = Watched(settings)
    running = asyncio.create_task(projector.run())
    await let_fetching_end(consumers)
    request = a_request()
    await client.accept(request)
    end = TaskExpired(
        task_id=request.task_id, attempt=Attempt(1, 1), sequence=0, started=False, ended_at=datetime.now(UTC)
    )
    await client.write(client.topics.events.name, encode_event(end, ORIGIN))
    async with asyncio.timeout(40):
        while not await client.read_all(client.topics.results.name, committed_only=True):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.1)
    assert len(consumers) == 2
    projector.stop()
    await running


async def test_the_api_reads_requests_again_after_fetching_has_ended(client: KafkaClient) -> None:
    topic, window = client.topics.requests.name, timedelta(hours=1)
    log = RequestLog(client.bootstrap, topic, 1, window, RequestIndex(window, 100, utc_now), utc_now)
    running = asyncio.create_task(log.run())
    async with asyncio.timeout(20):
        while not log.caught_up:  # noqa: ASYNC110 - it reads on this loop
            await asyncio.sleep(0.02)
    await let_fetching_end([log._consumer])
    await client.write_raw(topic, b"no task", b"no request")
    async with asyncio.timeout(20):
        while not log.skipped_count:  # noqa: ASYNC110 - it reads on this loop
            await asyncio.sleep(0.02)
    running.cancel()


@pytest.mark.parametrize("part", ["lookup", "coordination", "fetching"])
async def test_a_worker_whose_client_broke_ends_and_hands_over_in_peace(
    part: str, client: KafkaClient, workers: WorkerFleet
) -> None:
    first = workers.worker(module="tests.support.deaf_worker", loses=part, heartbeat_seconds=0.3)
    task = await client.submit(SLOW)

    def is_writing(log: Log) -> bool:
        return any(isinstance(event, VersionDelta) for event in log.of(task))

    await client.log_when(is_writing)
    first.signal(signal.SIGUSR1)
    assert await asyncio.to_thread(first.process.wait, 30) == 1
    assert '"worker.failed"' in first.log
    assert (await mark_of(client)).endswith(" handed-over 0")

    second = workers.worker()
    log = await client.log_when_ended(task, timeout_seconds=60)
    assert (log.state(task).stage, log.terminal_count(task)) == (Stage.SUCCEEDED, 1)
    assert sum(isinstance(event, TaskStarted) for event in log.of(task)) == 2
    await client.caught_up()
    assert await asyncio.to_thread(second.terminate) == 0
