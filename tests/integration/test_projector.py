"""A projector process on a real broker: one result for each task, whatever the log holds and whoever dies."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.attempt import Attempt
from contracts.codec import decode_result, encode_event
from contracts.events import (
    Reason,
    TaskEvent,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
    VersionStatus,
)
from contracts.lifecycle import Stage
from contracts.results import TaskResult
from contracts.task import TaskId
from tests.support.relay_events import TaskStory
from tests.support.worker import ORIGIN, KafkaClient, WorkerFleet, a_request, fleet, kafka_client


@pytest.fixture
async def client(kafka: str, topic_prefix: str) -> AsyncIterator[KafkaClient]:
    async with kafka_client(kafka, topic_prefix) as client:
        yield client


@pytest.fixture
def workers(client: KafkaClient, tmp_path: Path) -> Iterator[WorkerFleet]:
    with fleet(client.bootstrap, client.topics, tmp_path) as started:
        yield started


async def write_event(client: KafkaClient, event: TaskEvent) -> None:
    await client.write(client.topics.events.name, encode_event(event, ORIGIN))


async def succeed(client: KafkaClient, task: TaskId, attempt: Attempt) -> None:
    await write_event(client, TaskStarted(task_id=task, attempt=attempt, sequence=0))
    await write_event(client, TaskSucceeded(task_id=task, attempt=attempt, sequence=1, ended_at=datetime.now(UTC)))


async def fail(client: KafkaClient, task: TaskId, attempt: Attempt) -> None:
    await write_event(
        client,
        TaskFailed(task_id=task, attempt=attempt, sequence=9, reason=Reason.INTERNAL, ended_at=datetime.now(UTC)),
    )


async def results(client: KafkaClient) -> list[TaskResult]:
    found = await client.read_all(client.topics.results.name, committed_only=True)
    return [decode_result(record.value) for record in found]


async def results_when(client: KafkaClient, count: int) -> list[TaskResult]:
    async with asyncio.timeout(30):
        while len(found := await results(client)) < count:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.05)
    return found


async def test_the_first_terminal_event_makes_the_one_result(client: KafkaClient, workers: WorkerFleet) -> None:
    request = a_request()
    await client.accept(request)
    await succeed(client, request.task_id, Attempt(2, 20))
    await fail(client, request.task_id, Attempt(3, 30))
    other = a_request()
    await client.accept(other)
    await fail(client, other.task_id, Attempt(1, 10))
    await succeed(client, other.task_id, Attempt(2, 20))
    projector = workers.projector()
    found = {result.task_id: result for result in await results_when(client, 2)}
    assert found[request.task_id].stage is Stage.SUCCEEDED
    assert found[other.task_id].stage is Stage.FAILED
    assert (found[other.task_id].started, found[request.task_id].started) == (False, True)
    assert found[request.task_id].accepted_at == request.accepted_at
    assert found[request.task_id].limit == request.limit
    assert found[request.task_id].owner == ORIGIN.owner
    assert projector.terminate() == 0


async def test_terminal_events_that_come_after_a_restart_make_no_second_result(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    tasks = [a_request() for _ in range(20)]
    for request in tasks:
        await client.accept(request)
        await succeed(client, request.task_id, Attempt(2, 20))
    first = workers.projector()
    await results_when(client, 20)
    first.kill()
    for request in tasks:
        await fail(client, request.task_id, Attempt(1, 10))
    late = a_request()
    await client.accept(late)
    await succeed(client, late.task_id, Attempt(3, 30))
    workers.projector()
    found = await results_when(client, 21)
    assert Counter(result.task_id for result in found) == Counter([*(r.task_id for r in tasks), late.task_id])
    assert all(result.stage is Stage.SUCCEEDED for result in found)


async def test_projectors_that_die_and_join_lose_and_double_nothing(client: KafkaClient, workers: WorkerFleet) -> None:
    tasks = [a_request() for _ in range(60)]

    async def write() -> None:
        for request in tasks:
            await client.accept(request)
            await succeed(client, request.task_id, Attempt(2, 20))
            await asyncio.sleep(0.02)
        for request in tasks:
            await fail(client, request.task_id, Attempt(3, 30))

    writing = asyncio.create_task(write())
    first = workers.projector()
    await results_when(client, 5)
    workers.projector()
    first.kill()
    workers.projector()
    await writing
    found = await results_when(client, 60)
    assert Counter(result.task_id for result in found) == Counter(request.task_id for request in tasks)
    assert all(result.stage is Stage.SUCCEEDED for result in found)


async def test_a_task_that_nobody_ends_is_ended_behind_its_deadline(client: KafkaClient, workers: WorkerFleet) -> None:
    overdue = a_request(start_seconds=-20, end_seconds=-10)
    in_time = a_request()
    for request in (overdue, in_time):
        await client.accept(request)
    workers.projector(reap_grace_seconds=1)
    (result,) = await results_when(client, 1)
    assert (result.task_id, result.stage, result.started) == (overdue.task_id, Stage.EXPIRED, False)
    log = await client.log()
    assert log.terminal_count(overdue.task_id) == 1
    assert not log.state(in_time.task_id).ended


async def test_drafts_that_were_done_in_time_are_not_lost_with_all_workers(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    request = a_request(version_count=2, start_seconds=-20, end_seconds=-10)
    await client.accept(request)
    story, text = TaskStory(request.task_id), "끝까지 쓴 글"
    for event in (story.started(), story.completed(text, version=1), story.delta("쓰다 만", version=2)):
        await write_event(client, event)
    workers.projector(reap_grace_seconds=1)
    (result,) = await results_when(client, 1)
    assert (result.stage, result.degraded, result.started) == (Stage.SUCCEEDED, True, True)
    assert [(version.status, version.text) for version in result.versions[:2]] == [
        (VersionStatus.COMPLETED, text),
        (VersionStatus.FAILED, "쓰다 만"),
    ]
    assert {version.reason for version in result.versions[1:]} == {Reason.DEADLINE}
    assert {version.viewpoint for version in result.versions} == {plan.viewpoint for plan in request.versions}


async def test_the_committed_offset_never_passes_an_open_tasks_acceptance(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    waiting = a_request()
    await client.accept(waiting)
    first = workers.projector(commit_seconds=0.1)
    done = [a_request() for _ in range(30)]
    for request in done:
        await client.accept(request)
        await succeed(client, request.task_id, Attempt(2, 20))
    await results_when(client, 30)
    first.kill()
    workers.projector()
    await succeed(client, waiting.task_id, Attempt(4, 40))
    found = await results_when(client, 31)
    assert len(found) == 31
    assert found[[result.task_id for result in found].index(waiting.task_id)].accepted_at == waiting.accepted_at
