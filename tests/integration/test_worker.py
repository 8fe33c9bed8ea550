"""A worker process on a real broker, from a request to its end."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.lifecycle import Stage
from tests.support.worker import KafkaClient, WorkerFleet, fleet, kafka_client


@pytest.fixture
async def client(kafka: str, topic_prefix: str) -> AsyncIterator[KafkaClient]:
    async with kafka_client(kafka, topic_prefix) as client:
        yield client


@pytest.fixture
def workers(client: KafkaClient, tmp_path: Path) -> Iterator[WorkerFleet]:
    with fleet(client.bootstrap, client.topics, tmp_path) as started:
        yield started


async def test_a_request_becomes_three_versions_and_one_end(client: KafkaClient, workers: WorkerFleet) -> None:
    worker = workers.worker()
    task = await client.submit(version_count=3)
    log = await client.log_when_ended(task)
    state = log.state(task)
    assert (state.stage, len(state.versions), log.terminal_count(task)) == (Stage.SUCCEEDED, 3, 1)
    assert state.progress.hole_count == state.progress.ignored_count == 0
    await client.caught_up()
    assert worker.terminate() == 0
