"""Worker processes on a real broker: every request comes to one end, whatever happens to them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from contracts.codec import Origin, RequestHeader, encode_request
from contracts.events import Reason, TaskCancelled, TaskExpired, TaskFailed, TaskStarted, VersionDelta
from contracts.lifecycle import Stage
from contracts.task import OwnerId, TaskId, new_task_id
from tests.support.worker import ORIGIN, KafkaClient, Log, WorkerFleet, a_request, fleet, kafka_client

SLOW = "[[pieces=20 pause=0.15]]"
VERY_SLOW = "[[pieces=50 pause=1]]"


@pytest.fixture
async def client(kafka: str, topic_prefix: str) -> AsyncIterator[KafkaClient]:
    async with kafka_client(kafka, topic_prefix) as client:
        yield client


@pytest.fixture
def workers(client: KafkaClient, tmp_path: Path) -> Iterator[WorkerFleet]:
    with fleet(client.bootstrap, client.topics, tmp_path) as started:
        yield started


def is_writing(*tasks: TaskId) -> Callable[[Log], bool]:
    def happened(log: Log) -> bool:
        return all(any(isinstance(event, VersionDelta) for event in log.of(task)) for task in tasks)

    return happened


def start_count(log: Log, task: TaskId) -> int:
    return sum(isinstance(event, TaskStarted) for event in log.of(task))


def assert_each_succeeded_once(log: Log, tasks: list[TaskId]) -> None:
    assert {log.state(task).stage for task in tasks} == {Stage.SUCCEEDED}
    assert {log.terminal_count(task) for task in tasks} == {1}


async def test_a_request_becomes_three_versions_and_one_end(client: KafkaClient, workers: WorkerFleet) -> None:
    worker = workers.worker()
    task = await client.submit(version_count=3)
    log = await client.log_when_ended(task)
    state = log.state(task)
    assert (state.stage, len(state.versions), log.terminal_count(task)) == (Stage.SUCCEEDED, 3, 1)
    assert state.progress.hole_count == state.progress.ignored_count == 0
    await client.caught_up()
    assert worker.terminate() == 0


async def test_a_killed_workers_tasks_are_finished_by_another(client: KafkaClient, workers: WorkerFleet) -> None:
    first = workers.worker()
    tasks = await client.submit_all([SLOW] * 8)
    await client.log_when(is_writing(*tasks))
    workers.worker()
    first.kill()
    log = await client.log_when_ended(*tasks)
    assert_each_succeeded_once(log, tasks)
    assert all(start_count(log, task) == 2 for task in tasks)
    await client.caught_up()


async def test_versions_that_are_settled_are_not_written_again(client: KafkaClient, workers: WorkerFleet) -> None:
    first = workers.worker()
    # The scripted pauses of a version grow with its number, so one is settled while others are being written.
    task = await client.submit("[[pieces=10 pause=0.1 stagger=6]]", version_count=3)
    log = await client.log_when(lambda log: log.state(task).version(1).settled)
    assert not log.state(task).version(3).settled
    first.kill()
    workers.worker()
    log = await client.log_when_ended(task)
    assert_each_succeeded_once(log, [task])
    starts = [event for event in log.of(task) if isinstance(event, TaskStarted)]
    assert 1 in starts[1].kept
    again = [event for event in log.of(task) if isinstance(event, VersionDelta) and event.attempt == starts[1].attempt]
    assert {event.version for event in again} <= {1, 2, 3} - set(starts[1].kept)
    assert starts[1].attempt > starts[0].attempt


async def test_a_drain_lets_running_tasks_end_and_starts_no_more(client: KafkaClient, workers: WorkerFleet) -> None:
    worker = workers.worker(slots=2)
    tasks = await client.submit_all([SLOW] * 6)
    await client.log_when(lambda log: sum(start_count(log, task) for task in tasks) == 2)
    assert await asyncio.to_thread(worker.terminate) == 0
    log = await client.log()
    assert sum(start_count(log, task) for task in tasks) == sum(log.terminal_count(task) for task in tasks) == 2
    workers.worker()
    log = await client.log_when_ended(*tasks)
    assert_each_succeeded_once(log, tasks)
    assert all(start_count(log, task) == 1 for task in tasks)


async def test_what_a_drain_cannot_end_is_handed_over_in_peace(client: KafkaClient, workers: WorkerFleet) -> None:
    worker = workers.worker(drain_seconds=0.2)
    task = await client.submit(SLOW)
    await client.log_when(is_writing(task))
    assert await asyncio.to_thread(worker.terminate, 10) == 0
    assert not (await client.log()).state(task).ended
    second = workers.worker()
    log = await client.log_when_ended(task)
    assert_each_succeeded_once(log, [task])
    assert start_count(log, task) == 2
    assert "child" not in second.log


async def test_a_second_signal_ends_a_drain_at_once(client: KafkaClient, workers: WorkerFleet) -> None:
    worker = workers.worker()
    task = await client.submit(VERY_SLOW)
    await client.log_when(is_writing(task))
    worker.signal(signal.SIGTERM)
    await worker.logged("drain.started")
    worker.signal(signal.SIGINT)
    assert await asyncio.to_thread(worker.process.wait, 8) == 0
    assert not (await client.log()).state(task).ended


async def test_a_worker_that_joins_makes_nobody_begin_again(client: KafkaClient, workers: WorkerFleet) -> None:
    first = workers.worker()
    await first.logged("assignment.taken")
    tasks = await client.submit_all([SLOW] * 12)
    await client.log_when(is_writing(*tasks))
    second = workers.worker()
    await second.logged('"partition_count": [1-9].*assignment.taken')
    stayed = int((await first.logged(r'"stayed_count": ([1-9])'))[1])
    assert stayed >= 1
    log = await client.log_when_ended(*tasks)
    assert_each_succeeded_once(log, tasks)
    started_twice = [task for task in tasks if start_count(log, task) > 1]
    assert len(started_twice) < len(tasks)


@pytest.mark.timeout(300)  # two crashes, each with a session to expire, and then a process for each suspect
async def test_only_the_request_that_kills_its_worker_fails(client: KafkaClient, workers: WorkerFleet) -> None:
    tasks = await client.submit_all(["[[pieces=5 pause=0.3 poison]]", *[SLOW] * 3], start_seconds=250, end_seconds=300)
    poison, *others = tasks
    for _ in range(2):  # a supervisor that starts a new worker when one dies
        worker = workers.worker()
        assert await asyncio.to_thread(worker.process.wait, 90) == -signal.SIGKILL
    workers.worker()
    log = await client.log_when_ended(*tasks, timeout_seconds=90)
    state = log.state(poison)
    assert (state.stage, state.reason) == (Stage.FAILED, Reason.WORKER_CRASHED)
    assert_each_succeeded_once(log, others)
    await client.caught_up()
    (letter,) = await client.read_all(client.topics.dead_letters.name)
    assert letter.key == poison.encode()
    assert dict(letter.headers)["dead_letter_reason"] == b"worker_crashed"


async def test_records_that_are_no_requests_are_kept_and_hold_nobody_up(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    requests = client.topics.requests.name
    accepted = a_request()
    start = await client.accept(accepted)
    sound = encode_request(accepted, ORIGIN, RequestHeader("digest", start))
    newer = [(name, b"2.0" if name == "schema_version" else value) for name, value in sound.headers]
    foreign = new_task_id().encode()
    garbage: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
        (b"not a task", b"not json", []),
        (foreign, None, sound.headers),
        (None, b"no key", sound.headers),
        (foreign, sound.value, sound.headers),
        (foreign, sound.value, newer),
        (foreign, sound.value, [("schema_version", b"\xff"), ("big", b"x" * 500_000)]),
    ]
    for key, value, headers in garbage:
        await client.write_raw(requests, key, value, headers)
    await client.write_raw(requests, sound.key, b'{"task_id": 7}', sound.headers)
    workers.worker()
    good = await client.submit_all(["good"] * 4)
    log = await client.log_when_ended(*good, accepted.task_id)
    assert_each_succeeded_once(log, good)
    (failed,) = [event for event in log.of(accepted.task_id) if isinstance(event, TaskFailed)]
    assert failed.reason is Reason.MALFORMED_COMMAND
    await client.caught_up()
    letters = await client.read_all(client.topics.dead_letters.name)
    assert len(letters) == len(garbage) + 1
    originals = {(key or b"", value or b"") for key, value, _ in garbage}
    assert originals <= {(letter.key, letter.value) for letter in letters}


async def test_a_running_task_is_cancelled_once_however_often_it_is_asked(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    workers.worker()
    task = await client.submit(VERY_SLOW)
    await client.log_when(is_writing(task))
    await client.cancel(task)
    await client.cancel(task)
    log = await client.log_when_ended(task, timeout_seconds=5)
    assert log.state(task).stage is Stage.CANCELLED
    await client.cancel(task)
    after = await client.submit("later")
    log = await client.log_when_ended(after)
    assert log.terminal_count(task) == 1


async def test_a_queued_task_is_cancelled_at_once_and_acknowledged_when_its_turn_comes(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    workers.worker(slots=1, slots_per_partition=1)
    blocker = await client.submit("[[pieces=20 pause=0.2]]")
    await client.log_when(is_writing(blocker))
    queued = await client.submit_all(["queued"] * 40)
    victim = await client.submit("victim")
    await client.cancel(victim)
    log = await client.log_when_ended(victim, timeout_seconds=5)
    (end,) = log.of(victim)[1:]
    assert isinstance(end, TaskCancelled)
    assert not end.started
    assert not log.state(blocker).ended
    log = await client.log_when_ended(blocker, *queued)
    await client.caught_up()
    assert (await client.log()).terminal_count(victim) == 1


async def test_a_task_cancelled_while_no_worker_lives_is_never_begun(client: KafkaClient, workers: WorkerFleet) -> None:
    task = await client.submit("never")
    await client.cancel(task)
    other = await client.submit("other")
    workers.worker()
    log = await client.log_when_ended(task, other)
    assert (log.state(task).stage, start_count(log, task)) == (Stage.CANCELLED, 0)
    await client.caught_up()


async def test_a_cancellation_after_the_end_changes_nothing_also_for_the_next_worker(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    first = workers.worker()
    task = await client.submit()
    await client.log_when_ended(task)
    await client.caught_up()
    await client.cancel(task)
    await asyncio.to_thread(first.terminate)
    workers.worker()
    after = await client.submit()
    log = await client.log_when_ended(after)
    assert log.terminal_count(task) == 1


async def test_a_request_whose_time_to_start_has_passed_expires(client: KafkaClient, workers: WorkerFleet) -> None:
    task = await client.submit(start_seconds=-1)
    workers.worker()
    log = await client.log_when_ended(task)
    (end,) = log.of(task)[1:]
    assert isinstance(end, TaskExpired)
    assert not end.started


async def test_a_request_that_is_there_twice_runs_once(client: KafkaClient, workers: WorkerFleet) -> None:
    workers.worker()
    request = a_request(SLOW)
    start = await client.accept(request)
    record = encode_request(request, ORIGIN, RequestHeader("digest", start))
    other = request.model_copy(update={"notes": "somebody else's"})
    await client.write(client.topics.requests.name, record)
    await client.write(client.topics.requests.name, record)
    second = encode_request(other, Origin(OwnerId("other"), "tests"), RequestHeader("other", start))
    await client.write(client.topics.requests.name, second)
    log = await client.log_when_ended(request.task_id)
    await client.write(client.topics.requests.name, record)
    await client.caught_up()
    log = await client.log()
    assert_each_succeeded_once(log, [request.task_id])
    assert start_count(log, request.task_id) == 1


async def test_long_tasks_of_one_partition_do_not_hold_up_the_others(client: KafkaClient, workers: WorkerFleet) -> None:
    workers.worker(slots=8, slots_per_partition=3, look_ahead=4)
    partition = (await client.accept(a_request())).partition
    long_tasks: list[TaskId] = []
    while len(long_tasks) < 40:
        request = a_request(VERY_SLOW)
        start = await client.accept(request)
        if start.partition == partition:
            record = encode_request(request, ORIGIN, RequestHeader("digest", start))
            await client.write(client.topics.requests.name, record)
            long_tasks.append(request.task_id)
    await client.log_when(lambda log: sum(start_count(log, task) for task in long_tasks) == 3)
    short = await client.submit_all(["short"] * 60)
    log = await client.log()
    elsewhere = [w.event.task_id for w in log.records if w.event.task_id in short and w.position.partition != partition]
    log = await client.log_when_ended(*elsewhere, timeout_seconds=10)
    assert sum(start_count(log, task) for task in long_tasks) == 3


async def test_a_worker_says_that_it_lives_and_that_it_is_ready(client: KafkaClient, workers: WorkerFleet) -> None:
    worker = workers.worker()
    port = (await worker.logged(r'"port": (\d+), "event": "health.listening"'))[1]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        assert (await http.get("/livez")).status_code == 200
        async with asyncio.timeout(20):
            while (await http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - another process gets ready
                await asyncio.sleep(0.05)
        task = await client.submit()
        await client.log_when_ended(task)
        assert 'worker_requests_total{outcome="finished"} 1.0' in (await http.get("/metrics")).text
        assert (await http.get("/other")).status_code == 404
    await asyncio.to_thread(worker.terminate)


async def test_a_worker_waits_for_a_broker_that_is_not_there(workers: WorkerFleet) -> None:
    worker = workers.worker(bootstrap="127.0.0.1:1")
    await worker.logged("kafka.unreachable")
    assert await asyncio.to_thread(worker.terminate, 10) == 0


async def test_a_stopped_workers_late_words_change_no_outcome(client: KafkaClient, workers: WorkerFleet) -> None:
    zombie = workers.worker()
    tasks = await client.submit_all([SLOW] * 6)
    await client.log_when(is_writing(*tasks))
    zombie.signal(signal.SIGSTOP)
    workers.worker()
    log = await client.log_when_ended(*tasks)
    ends = {task: log.state(task) for task in tasks}
    zombie.signal(signal.SIGCONT)
    await zombie.logged("commit.failed|stayed_count.*\n.*stayed_count")
    await client.caught_up()
    log = await client.log()
    for task in tasks:
        assert log.state(task).stage is ends[task].stage is Stage.SUCCEEDED
        assert log.state(task).versions == ends[task].versions


async def test_a_static_member_that_comes_back_takes_over_without_a_rebalance(
    client: KafkaClient, workers: WorkerFleet
) -> None:
    other = workers.worker(instance_id="b", session_seconds=20)
    first = workers.worker(instance_id="a", session_seconds=20)
    for worker in (first, other):
        await worker.logged('"partition_count": 2.*assignment.taken')
    tasks = await client.submit_all([SLOW] * 8)
    await client.log_when(is_writing(*tasks))
    assignments = other.log.count("assignment.taken")
    first.kill()
    workers.worker(instance_id="a", session_seconds=20)
    log = await client.log_when_ended(*tasks)
    assert_each_succeeded_once(log, tasks)
    assert other.log.count("assignment.taken") == assignments
    for task in tasks:
        attempts = [event.attempt for event in log.of(task) if isinstance(event, TaskStarted)]
        assert attempts == sorted(set(attempts))
