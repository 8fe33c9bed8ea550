"""A worker whose Kafka client breaks in the background is never alive but deaf, and nobody is blamed for its end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.events import TaskStarted, VersionDelta
from contracts.lifecycle import Stage
from tests.support.worker import KafkaClient, Log, WorkerFleet, fleet, kafka_client

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
