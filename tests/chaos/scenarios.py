"""Larger loads, one at a time: `python -m tests.chaos.scenarios NAME…`; exit status 1 when a promise was broken.

Workers have the scripted model, and write a line to a call log for each call of it. Each scenario returns the figures
that it found; its assertions are the promise.
"""

import argparse
import asyncio
import itertools
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.codec import RequestHeader, encode_request, read_header
from contracts.events import Reason, TaskStarted, VersionDelta
from contracts.lifecycle import Stage
from contracts.task import TaskId
from deploy.local.broker import Broker
from tests.support.worker import ORIGIN, KafkaClient, Log, Process, WorkerFleet, a_request, fleet, kafka_client

_MIB = 1 << 20
_TOGETHER = 1000
Figures = Mapping[str, object]


@dataclass
class Scene:
    """Where a scenario plays."""

    client: KafkaClient
    workers: WorkerFleet
    call_log: Path

    def worker(self, name: str, **settings: object) -> Process:
        """Start a worker with a static id: it comes back as itself."""
        merged = {"instance_id": name, "session_seconds": 30, "die_at": "", "call_log": self.call_log} | settings
        return self.workers.worker(name, module="tests.support.dying_worker", **merged)

    def calls(self) -> Counter[str]:
        """Return how often the model was called for each task and version."""
        return Counter(self.call_log.read_text().splitlines())


async def rolling(stage: Scene, *, task_count: int = 300, worker_count: int = 3) -> Figures:
    """Each worker in turn is asked to end and started again, under load: nothing ends twice or is paid for twice."""
    workers = {name: stage.worker(name) for name in map(str, range(worker_count))}
    for worker in workers.values():
        await worker.logged('"partition_count": [1-9].*assignment.taken', 90)
    tasks: list[TaskId] = []
    rolled = asyncio.Event()

    async def submit() -> None:
        while len(tasks) < task_count or not rolled.is_set():
            tasks.append(await stage.client.submit("[[pieces=10 pause=0.1]]", start_seconds=600, end_seconds=900))
            await asyncio.sleep(0.05)

    load = asyncio.create_task(submit())
    for name, worker in workers.items():
        assert await asyncio.to_thread(worker.terminate, 90) == 0
        again = stage.worker(name)
        await again.logged("assignment.taken", 90)
    rolled.set()
    await load
    log = await stage.client.log_when_ended(*tasks, timeout_seconds=120)
    await stage.client.caught_up(60)
    _assert_each_succeeded_once(log, tasks)
    calls = stage.calls()
    assert set(calls.values()) == {1}, f"{sum(calls.values()) - len(tasks)} extra calls"
    return {"tasks": len(tasks), "second terminal events": 0, "extra calls": 0}


async def joining(stage: Scene, *, task_count: int = 48, seconds: float = 15) -> Figures:
    """A worker joins while long tasks run: those of partitions that stay go on, and only those that move begin anew."""
    first = stage.worker("first")
    await first.logged("assignment.taken", 90)
    gate = stage.call_log.with_name("gate")
    second = stage.worker("second", gate=gate)
    await second.logged("gate.reached", 90)
    notes = f"[[pieces={int(seconds * 5)} pause=0.2]]"
    tasks = await stage.client.submit_all([notes] * task_count)

    def are_writing(log: Log) -> bool:
        return all(any(isinstance(event, VersionDelta) for event in log.of(task)) for task in tasks)

    await stage.client.log_when(are_writing, timeout_seconds=90)
    gate.touch()
    await second.logged('"partition_count": [1-9].*assignment.taken', 90)
    stayed = int((await first.logged(r'"stayed_count": ([1-9]\d*)', 90))[1])
    log = await stage.client.log_when_ended(*tasks, timeout_seconds=120)
    _assert_each_succeeded_once(log, tasks)
    partitions = {written.event.task_id: written.position.partition for written in log.records}
    begun: dict[bool, set[int]] = defaultdict(set)
    for task in tasks:
        begun[_start_count(log, task) > 1].add(partitions[task])
    assert begun[True], "no task ran when the worker joined"
    assert not begun[True] & begun[False], "a task of a partition that stayed began again"
    assert len(begun[True]) <= stage.client.topics.partition_count - stayed
    pauses = [_longest_pause(log, task) for task in tasks if partitions[task] in begun[False]]
    return {"partitions that stayed / moved": f"{stayed} / {len(begun[True])}", "longest pause s": max(pauses)}


async def backlog(stage: Scene, *, task_count: int = 100_000) -> Figures:
    """So many requests wait: memory does not grow with them, and the last of them is cancelled at once."""
    worker = stage.worker("w", slots=20)
    await worker.logged("assignment.taken", 90)
    began = time.monotonic()
    for _ in range(0, task_count, _TOGETHER):
        await asyncio.gather(*(_submit_slow(stage.client) for _ in range(min(_TOGETHER, task_count))))
    last = a_request("[[pieces=10 pause=0.5]]", start_seconds=3000, end_seconds=3300)
    start = await stage.client.accept(last)
    await stage.client.write(stage.client.topics.requests.name, encode_request(last, ORIGIN, RequestHeader("d", start)))
    submitted = time.monotonic() - began
    rss = psutil.Process(worker.process.pid).memory_info
    samples = []
    for _ in range(20):
        samples.append(rss().rss / _MIB)
        await asyncio.sleep(0.5)
    cancelled = time.monotonic()
    await stage.client.cancel(last.task_id)
    await _wait_for_end(stage.client, last.task_id, start.partition, start.offset)
    seconds = time.monotonic() - cancelled
    assert await stage.client.lag() > task_count // 2, "the requests did not wait"
    assert max(samples) - min(samples) < 40, samples
    assert seconds < 30
    return {
        "waiting": await stage.client.lag(),
        "submitted in s": round(submitted, 1),
        "resident MiB": f"{min(samples):.0f}-{max(samples):.0f}",
        "last one cancelled after s": round(seconds, 1),
    }


async def poison(stage: Scene, *, task_count: int = 50) -> Figures:
    """One request kills each worker that takes it: it alone fails."""
    notes = ["[[pieces=5 pause=0.3]]"] * task_count
    notes.insert(task_count // 2, "[[pieces=5 pause=0.3 poison]]")
    tasks = await stage.client.submit_all(notes, start_seconds=600, end_seconds=900)
    culprit = tasks[task_count // 2]
    deaths = 0
    worker = stage.workers.worker(instance_id="w", session_seconds=30, child_slots=4, slots_per_partition=60)
    while not (log := await stage.client.log()).state(culprit).ended:
        if worker.process.poll() is not None:
            assert worker.process.returncode == -signal.SIGKILL
            deaths += 1
            assert deaths <= 3
            worker = stage.workers.worker(instance_id="w", session_seconds=30, child_slots=4, slots_per_partition=60)
        await asyncio.sleep(0.2)
    log = await stage.client.log_when_ended(*tasks, timeout_seconds=240)
    assert (log.state(culprit).stage, log.state(culprit).reason) == (Stage.FAILED, Reason.WORKER_CRASHED)
    _assert_each_succeeded_once(log, [task for task in tasks if task != culprit])
    letters = await stage.client.read_all(stage.client.topics.dead_letters.name)
    assert [letter.key for letter in letters] == [culprit.encode()]
    await stage.client.caught_up(60)
    return {"tasks": len(tasks), "worker deaths": deaths, "failed": 1, "dead letters": 1}


SCENARIOS: dict[str, Callable[[Scene], Coroutine[None, None, Figures]]] = {
    "rolling": rolling,
    "joining": joining,
    "backlog": backlog,
    "poison": poison,
}


async def play(scenario: Callable[[Scene], Coroutine[None, None, Figures]], bootstrap: str, directory: Path) -> Figures:
    """Play a scenario on a broker, with topics of its own."""
    async with kafka_client(bootstrap, f"s{time.time_ns()}", partition_count=12) as client:
        with fleet(bootstrap, client.topics, directory) as workers:
            return await scenario(Scene(client, workers, directory / "calls"))


async def _submit_slow(client: KafkaClient) -> None:
    await client.submit("[[pieces=10 pause=0.5]]", start_seconds=3000, end_seconds=3300)


async def _wait_for_end(client: KafkaClient, task: TaskId, partition: int, offset: int) -> None:
    """Read one partition from a task's acceptance until its terminal event: the whole log would take too long."""
    consumer = AIOKafkaConsumer(bootstrap_servers=client.bootstrap, fetch_max_wait_ms=20)
    async with consumer, asyncio.timeout(90):
        consumer.assign([TopicPartition(client.topics.events.name, partition)])
        consumer.seek(TopicPartition(client.topics.events.name, partition), offset)
        async for record in consumer:
            if record.key == task.encode() and read_header(record.headers).terminal:
                return


def _assert_each_succeeded_once(log: Log, tasks: list[TaskId]) -> None:
    assert Counter(log.state(task).stage for task in tasks) == {Stage.SUCCEEDED: len(tasks)}
    assert {log.terminal_count(task) for task in tasks} == {1}


def _start_count(log: Log, task: TaskId) -> int:
    return sum(isinstance(event, TaskStarted) for event in log.of(task))


def _longest_pause(log: Log, task: TaskId) -> float:
    """Return the longest time between two deltas of a task, in seconds of the log."""
    times = [each.written_at for each in log.records if each.event.task_id == task]
    return round(max((after - before for before, after in itertools.pairwise(times)), default=0.0), 1)


def main() -> int:
    """Play scenarios, each on a broker of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.scenarios", description=main.__doc__)
    parser.add_argument("names", nargs="*", default=list(SCENARIOS), metavar="NAME", help=", ".join(SCENARIOS))
    broken = 0
    for name in parser.parse_args().names:
        with tempfile.TemporaryDirectory(prefix="draftstream-scenario-") as folder:
            broken += not _report(name, Path(folder))
    return int(broken > 0)


def _report(name: str, directory: Path) -> bool:
    with Broker(directory / "kafka", heap_mb=512) as broker:
        try:
            figures = asyncio.run(play(SCENARIOS[name], broker.bootstrap, directory))
        except AssertionError as error:
            print(f"{name}: BROKEN: {str(error)[:500]}", flush=True)
            return False
    print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()), flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
