"""A worker that dies at one exact point of a task's life: the next one finishes, once, and pays for nothing twice."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.events import VersionCompleted
from contracts.lifecycle import Stage, VersionStage
from tests.support.dying_worker import Point
from tests.support.worker import KafkaClient, Process, WorkerFleet, fleet, kafka_client

CALLS = {
    Point.FETCHED: {1: 1, 2: 1},
    Point.STARTED_SENT: {1: 1, 2: 1},
    Point.BEFORE_THE_CALL: {1: 1, 2: 1},
    Point.CALL_OPEN: {1: 1, 2: 2},
    Point.MID_STREAM: {1: 1, 2: 2},
    Point.MODEL_DONE: {1: 1, 2: 2},
    Point.TERMINAL_SENT: {1: 1, 2: 1},
    Point.TERMINAL_ACKNOWLEDGED: {1: 1, 2: 1},
    Point.COMMITTED: {1: 1, 2: 1},
}
"""Calls for each version, both workers together: only one that was open is made again."""


@pytest.fixture
async def client(kafka: str, topic_prefix: str) -> AsyncIterator[KafkaClient]:
    async with kafka_client(kafka, topic_prefix, partition_count=1) as client:
        yield client


@pytest.fixture
def workers(client: KafkaClient, tmp_path: Path) -> Iterator[WorkerFleet]:
    with fleet(client.bootstrap, client.topics, tmp_path) as started:
        yield started


def start(workers: WorkerFleet, die_at: str, call_log: Path) -> Process:
    # The static id lets the second worker take over at once, where the first one's session would have to expire.
    return workers.worker(
        module="tests.support.dying_worker", instance_id="w", die_at=die_at, call_log=call_log, commit_seconds=0.1
    )


@pytest.mark.parametrize("point", Point, ids=lambda point: point.replace(" ", "_"))
async def test_a_task_whose_worker_dies_comes_to_one_end(
    point: Point, client: KafkaClient, workers: WorkerFleet, tmp_path: Path
) -> None:
    call_log = tmp_path / "calls"
    task = await client.submit("[[pieces=5 pause=0.05]]", version_count=2)
    first = start(workers, point, call_log)
    assert await asyncio.to_thread(first.process.wait, 60) == -signal.SIGKILL
    assert (await client.lag() == 0) is (point is Point.COMMITTED)

    second = start(workers, "", call_log)
    log = await client.log_when_ended(task, timeout_seconds=60)
    await client.caught_up()
    state = log.state(task)
    assert (state.stage, state.degraded) == (Stage.SUCCEEDED, False)
    assert [version.stage for version in state.versions] == [VersionStage.COMPLETED] * 2
    calls = Counter(int(line.split()[1]) for line in call_log.read_text().splitlines())
    assert calls == CALLS[point]

    later = await client.submit("later")
    log = await client.log_when_ended(later)
    await client.caught_up()
    assert log.state(later).stage is Stage.SUCCEEDED
    assert (log.terminal_count(task), log.terminal_count(later)) == (1, 1)
    settled = Counter(event.version for event in log.of(task) if isinstance(event, VersionCompleted))
    assert settled[1] == 1
    assert settled[2] == 1
    assert await client.read_all(client.topics.dead_letters.name) == []
    assert await asyncio.to_thread(second.terminate) == 0
