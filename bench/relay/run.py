"""One run: a fresh topic, one contestant, one workload; figures and faults come back."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

from bench.relay.child import ChildFailed, Commanded, Server
from bench.relay.contestant import PARTITION_COUNT, Contestant, Scene, free_port
from bench.relay.measurement import Measurement
from bench.relay.programs import Programs
from bench.relay.stage import StagedTask, first_record, request_lines, stage_tasks, stream_path, template_line
from bench.relay.usage import cpu_seconds, pss_kb, settle
from bench.relay.workload import CatchUp, Idle, Steady, Workload
from contracts.cursor import Position
from contracts.ticket import load_private_key
from contracts.topics import Topics
from deploy.local.keys import Keys

LINGER_MS = 2
_OPEN_AT_ONCE = 100
_METADATA_TRIES = 200
_BUSY_PER_SECOND = 200
_ARRIVAL_SECONDS = 30.0
_BEFORE_SHARE = 0.02  # of the tasks' events, which clients of a reconnect have seen before


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run; None leaves it to the kernel."""

    server: int | None
    others: int | None


@dataclass(frozen=True, slots=True)
class Arena:
    """What all runs share."""

    bootstrap: str
    keys: Keys
    programs: Programs
    cores: Cores


class Run:
    """One contestant on one topic, with everything around it. A context manager."""

    def __init__(self, arena: Arena, contestant: Contestant, name: str) -> None:
        self._arena = arena
        self._contestant = contestant
        self._stack = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="bench-relay-"))
        self._scene = Scene(
            arena.bootstrap, f"bench-{name}", free_port(), self._folder, arena.keys.ticket_public, arena.programs
        )
        command = contestant.command(self._scene)
        log = self._folder / "server.log"
        self.server = Server(command.argv, self._scene.port, log, command.environment, arena.cores.server)
        self._positions: dict[str, Position] = {}

    def __enter__(self) -> "Run":
        asyncio.run(_create_topic(self._arena.bootstrap, self._scene.prefix))
        self.start_server()
        if self._contestant.bridged:
            argv = [self._arena.programs.path("bridge"), self._arena.bootstrap, self._scene.topic]
            bridge = Server(
                [*argv, str(PARTITION_COUNT), str(self._scene.port)],
                self._scene.port,
                self._folder / "bridge.log",
                {},
                self._arena.cores.others,
            )
            self._stack.callback(bridge.kill)
            bridge.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.server.kill()
        asyncio.run(_delete_topic(self._arena.bootstrap, self._scene.topic))
        shutil.rmtree(self._folder, ignore_errors=True)

    def start_server(self) -> float:
        """Start the contestant; return how many seconds it took to be ready."""
        began = time.monotonic()
        self.server.start()
        self.server.wait_ready("/readyz")
        return time.monotonic() - began

    def seed(self, tasks: Sequence[StagedTask]) -> None:
        """Write each task's first record, and remember where it is."""
        producer = Producer({"bootstrap.servers": self._arena.bootstrap, "partitioner": "murmur2", "linger.ms": 5})

        def written(error: object, message: Any) -> None:
            if error is None:
                self._positions[message.key().decode()] = Position(message.partition(), message.offset())

        for task in tasks:
            record = first_record(task)
            producer.produce(self._scene.topic, record.value, record.key, headers=record.headers, on_delivery=written)
            producer.poll(0)
        producer.flush(30)
        if any(task.task_id not in self._positions for task in tasks):
            raise ChildFailed("not all first records were written")

    def client(self, tasks: Sequence[StagedTask], viewers: int = 1, *, resume: bool = False) -> Commanded:
        """Start a client for the tasks' streams; with `resume` they begin behind the first record."""
        key = load_private_key(self._arena.keys.ticket_private.read_bytes())
        resume = resume and self._contestant.kafka_positions
        paths, positions = [], []
        for task in tasks:
            start = self._positions[task.task_id]
            paths += [stream_path(task, key, start)] * viewers
            positions += [start if resume else None] * viewers
        requests = self._file(request_lines(paths, positions))
        argv = [self._arena.programs.path("client"), str(self._scene.port), requests]
        return self._stack.enter_context(Commanded(argv, self._arena.cores.others))

    def producer(self, tasks: Sequence[StagedTask]) -> Commanded:
        """Start a producer for the tasks."""
        templates = self._file("".join(f"{template_line(task)}\n" for task in tasks))
        argv = [self._arena.programs.path("producer"), self._arena.bootstrap, self._scene.topic, templates]
        return self._stack.enter_context(Commanded([*argv, str(LINGER_MS)], self._arena.cores.others))

    def _file(self, text: str) -> str:
        with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False) as file:
            file.write(text)
        return file.name


def measure(arena: Arena, contestant: Contestant, name: str, workload: Workload, label: str) -> Measurement | None:
    """Return a run's measurement, or None when the contestant cannot do the work."""
    if isinstance(workload, CatchUp) and not _can(contestant, workload):
        return None
    with Run(arena, contestant, label) as run:
        match workload:
            case Steady():
                figures, faults = _steady(run, workload)
            case Idle():
                figures, faults = _idle(run, workload)
            case CatchUp(snapshot=True):
                figures, faults = _snapshots(run, workload)
            case CatchUp():
                figures, faults = _catch_up(run, workload)
            case _:
                assert_never(workload)
    return Measurement(name, contestant.name, figures, {name: count for name, count in faults.items() if count})


def _can(contestant: Contestant, workload: CatchUp) -> bool:
    if workload.snapshot:
        return contestant.snapshots
    return contestant.restarts if workload.restart else contestant.resumes


Outcome = tuple[dict[str, float], dict[str, int]]


def _steady(run: Run, workload: Steady) -> Outcome:
    tasks = stage_tasks(workload.tasks, "steady")
    run.seed(tasks)
    producer = run.producer(tasks)
    client = run.client(tasks, workload.viewers) if workload.viewers else None
    faults: dict[str, int] = {}
    before: dict[str, Any] = {"events": 0}
    if client:
        faults["not_opened"] = client.ask(f"open {workload.tasks * workload.viewers} {_OPEN_AT_ONCE}")["failed"]
    duration = workload.warm_up_seconds + workload.window_seconds + 0.5
    with _stalled(run, workload, duration):
        producer.tell(f"rate {workload.records_per_second} {duration}")
        time.sleep(workload.warm_up_seconds)
        if client:
            before = client.ask("turn")
        cpu, began = cpu_seconds(run.server.pid), time.monotonic()
        time.sleep(workload.window_seconds)
        cpu, seconds = cpu_seconds(run.server.pid) - cpu, time.monotonic() - began
        report = client.ask("report") if client else {"events": workload.records_per_second * seconds}
        written = producer.answer()
    figures = {
        "cpu_us_per_event": cpu * 1e6 / max(1, report["events"]),
        "cpu_share": cpu / seconds,
        "events_per_second": report["events"] / seconds,
    }
    expected_count = workload.records_per_second * duration
    if workload.stalled_readers is not None:
        del figures["cpu_us_per_event"]  # the busy tasks' share cannot be told apart
    faults |= {"not_written": written["failed"], "producer_behind": int(written["sent"] < 0.97 * expected_count)}
    if client:
        figures |= {name: report[name] for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")}
        total = written["sent"] * workload.viewers
        after = client.ask(f"until {total - before['events']} {_ARRIVAL_SECONDS}")
        faults |= _faults(after) | {"never_came": total - before["events"] - after["events"]}
    return figures, faults


@contextmanager
def _stalled(run: Run, workload: Steady, duration: float) -> Iterator[None]:
    """Run busy tasks beside the measured ones, whose streams are read or not."""
    if workload.stalled_readers is None:
        yield
        return
    tasks = stage_tasks(workload.stalled_readers, "stalled")
    run.seed(tasks)
    client, producer = run.client(tasks), run.producer(tasks)
    client.ask(f"open {len(tasks)} {len(tasks)}")
    if workload.stalled:
        client.ask(f"stall {len(tasks)}")
    producer.tell(f"rate {_BUSY_PER_SECOND * len(tasks)} {duration}")
    yield
    producer.answer()


def _faults(report: dict[str, Any]) -> dict[str, int]:
    return {name: int(report[name]) for name in ("missing", "repeated", "gaps", "lost", "refused")}


def _idle(run: Run, workload: Idle) -> Outcome:
    empty = pss_kb(run.server.pid)
    tasks = stage_tasks(workload.streams, "idle")
    run.seed(tasks)
    settle(run.server.pid)
    with_tasks = pss_kb(run.server.pid)
    client = run.client(tasks)
    faults = {"not_opened": client.ask(f"open {workload.streams} {_OPEN_AT_ONCE}")["failed"]}
    settle(run.server.pid)
    with_streams = pss_kb(run.server.pid)
    cpu, began = cpu_seconds(run.server.pid), time.monotonic()
    time.sleep(workload.window_seconds)
    cpu, seconds = cpu_seconds(run.server.pid) - cpu, time.monotonic() - began
    report = client.ask("report")
    figures = {
        "kb_per_stream": (with_streams - with_tasks) / workload.streams,
        "kb_per_stream_and_task": (with_streams - empty) / workload.streams,
        "cpu_seconds_per_minute": cpu * 60 / seconds,
        "heartbeats_per_stream": report["comments"] / workload.streams,
    }
    return figures, faults | {"lost": int(report["lost"]), "refused": int(report["refused"])}


def _catch_up(run: Run, workload: CatchUp) -> Outcome:
    tasks = stage_tasks(workload.clients, "catch-up")
    run.seed(tasks)
    producer = run.producer(tasks)
    client = run.client(tasks, resume=True)
    count, first = workload.clients * workload.events, 0
    if workload.reconnect or workload.restart:
        client.ask(f"open {workload.clients} {_OPEN_AT_ONCE}")
        first = max(1, int(workload.events * _BEFORE_SHARE))
        producer.ask(f"each {first}")
        client.ask(f"until {first * workload.clients} {_ARRIVAL_SECONDS}")
    if workload.restart:
        return _after_restart(run, workload, client, producer)
    client.ask("close")
    producer.ask(f"each {workload.events}")
    settle(run.server.pid)
    client.ask("reset")
    cpu = cpu_seconds(run.server.pid)
    failed = client.ask(f"open {workload.clients} {workload.clients}")["failed"]
    report = client.ask(f"until {count} {_ARRIVAL_SECONDS}")
    settle(run.server.pid)
    cpu = cpu_seconds(run.server.pid) - cpu
    figures = {"seconds": report["last_seconds"], "cpu_us_per_event": cpu * 1e6 / count}
    return figures, _faults(report) | {"not_opened": failed, "never_came": count - report["events"]}


def _after_restart(run: Run, workload: CatchUp, client: Commanded, producer: Commanded) -> Outcome:
    count = workload.clients * workload.events
    client.ask("again 1")
    run.server.kill()
    producer.ask(f"each {workload.events}")
    client.ask("reset")
    ready = run.start_server()
    report = client.ask(f"until {count} {_ARRIVAL_SECONDS}")
    faults = {name: int(report[name]) for name in ("missing", "repeated", "gaps")}
    figures = {"seconds": report["last_seconds"], "ready_seconds": ready}
    return figures, faults | {"never_came": count - report["events"]}


def _snapshots(run: Run, workload: CatchUp) -> Outcome:
    tasks = stage_tasks(workload.clients, "snapshots")
    run.seed(tasks)
    run.producer(tasks).ask(f"each {workload.events}")
    settle(run.server.pid)
    client = run.client(tasks)
    client.ask("reset")
    cpu = cpu_seconds(run.server.pid)
    failed = client.ask(f"open {workload.clients} {workload.clients}")["failed"]
    until = time.monotonic() + _ARRIVAL_SECONDS
    while (report := client.ask("report"))["snapshots"] < workload.clients and time.monotonic() < until:
        time.sleep(0.05)
    settle(run.server.pid)
    cpu = cpu_seconds(run.server.pid) - cpu
    figures = {"seconds": report["last_seconds"], "cpu_us_per_snapshot": cpu * 1e6 / workload.clients}
    return figures, _faults(report) | {"not_opened": failed, "never_came": workload.clients - report["snapshots"]}


async def _create_topic(bootstrap: str, prefix: str) -> None:
    topic = Topics(prefix, PARTITION_COUNT).events
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        response = await admin.create_topics(
            [NewTopic(topic.name, PARTITION_COUNT, 1, topic_configs=topic.settings(1))]
        )
        if any(code for _, code, *_ in response.topic_errors):
            raise ChildFailed("the topic could not be created")
        for _ in range(_METADATA_TRIES):
            if all(found.get("partitions") for found in await admin.describe_topics([topic.name])):
                return
            await asyncio.sleep(0.05)
        raise ChildFailed("the topic does not appear")
    finally:
        await admin.close()


async def _delete_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([name])
    finally:
        await admin.close()
