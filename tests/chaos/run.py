"""One chaos run: a whole system, a load, a schedule of faults, and the table that the topics give."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.topics import Topics
from deploy.local.settings import LocalSettings
from deploy.local.system import System
from tests.chaos.checker import Histories, Report, check
from tests.chaos.injector import Injector
from tests.chaos.load import Load
from tests.chaos.log_reader import LogReader, Seen
from tests.chaos.schedule import Fault, FaultKind, draw_schedule

PARTITION_COUNT = 12
_STEP_SECONDS = 0.1
_READ_SECONDS = 2.0
_RESULTS_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What a run does; the seed fixes the schedule."""

    seed: int
    task_count: int = 1000
    seconds: float = 60
    worker_count: int = 3
    broker_count: int = 1
    worker_module: str = "stream_processors"
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    settle_seconds: float = 180
    pace: Mapping[str, Any] | None = None
    slow_every: int = 0

    @property
    def schedule(self) -> tuple[Fault, ...]:
        return draw_schedule(
            self.seed,
            seconds=self.seconds,
            worker_count=self.worker_count,
            broker_count=self.broker_count,
            kinds=self.kinds,
        )


PACE = {"first_text_seconds": [0.2, 1.0], "tokens_per_second": [60, 140], "delta_seconds": 0.2}
"""A version takes two to five seconds, in few deltas: the machine is busy with faults, not with streaming."""

QUICK_PACE = PACE | {"first_text_seconds": [0.1, 0.5], "tokens_per_second": [300, 400]}
"""A version takes about a second."""

ENVIRONMENT = {
    "API_OWNER_RATE_PER_SECOND": "1000",
    "API_OWNER_BURST_COUNT": "100000",
    "API_WORKER_SLOT_COUNT": "1000",
    "MODEL_CONCURRENT_CALL_COUNT": "300",
    "WORKER_DRAIN_SECONDS": "8",
}


def run(plan: Plan, directory: Path, say: Callable[[str], None]) -> Report:
    """Run a plan in an empty directory and return its table; raise FileExistsError when it is not empty."""
    if directory.exists() and any(directory.iterdir()):
        raise FileExistsError(f"{directory} holds another run: its tasks would be judged by this run's calls")
    settings = LocalSettings.model_validate(
        {
            "run_directory": directory,
            "kafka_port": 0,
            "api_port": 0,
            "relay_port": 0,
            "simulator_port": 0,
            "worker_count": plan.worker_count,
            "broker_count": plan.broker_count,
            "demonstration": False,
            "KAFKA_BOOTSTRAP": "",
            "OPENAI_API_KEY": "",
            "OPENAI_BASE_URL": "https://api.openai.com/v1",
        }
    )
    system = System(settings, environment=dict(ENVIRONMENT), grace_seconds=15, worker_module=plan.worker_module)
    with system:
        return _run(plan, system, say)


def _run(plan: Plan, system: System, say: Callable[[str], None]) -> Report:
    control = f"http://127.0.0.1:{system.ports.simulator}/control"
    httpx2.put(f"{control}/pace", json=plan.pace or PACE, timeout=10).raise_for_status()
    topics = Topics(partition_count=PARTITION_COUNT)
    reader = LogReader(system.bootstrap, topics.events.name, PARTITION_COUNT)
    results = LogReader(system.bootstrap, topics.results.name, PARTITION_COUNT)
    try:
        histories = Histories()
        load, injector = _storm(plan, system, reader, histories, say)
        ended = len(load.accepted) - len(histories.unfinished(load.accepted))
        calls = _calls(control)
        (system.settings.run_directory / "calls.json").write_text(json.dumps(calls))
        say(f"{len(load.accepted)} accepted, {len(load.refused)} refused, {ended} ended")
        return check(
            load.accepted,
            histories,
            _all_results(results, ended),
            calls,
            [at for at, _ in injector.applied],
            injector.disturbances,
            _committed(system.bootstrap, topics),
            injector.deaths,
        )
    finally:
        reader.close()
        results.close()


def _storm(
    plan: Plan, system: System, reader: LogReader, histories: Histories, say: Callable[[str], None]
) -> tuple[Load, Injector]:
    """Load and faults, until every accepted task has ended or the time to settle is over."""
    load = Load(system.api_url, plan.task_count, plan.seconds, f"seed-{plan.seed}", plan.slow_every)
    load.identify()
    injector = Injector(system, say)
    injector.plan(plan.schedule, time.monotonic())
    load.start()
    read_at, settle_until = 0.0, None
    while True:
        injector.step()
        now = time.monotonic()
        if now >= read_at:
            histories.take(reader.read())
            read_at = now + _READ_SECONDS
            if load.done and injector.idle:
                settle_until = settle_until or now + plan.settle_seconds
                if not histories.unfinished(load.accepted) or now > settle_until:
                    return load, injector
        time.sleep(_STEP_SECONDS)


def _all_results(reader: LogReader, expected_count: int) -> list[Seen]:
    """The projector writes behind the events: wait for it, bounded, and then a little for what should not come."""
    records: list[Seen] = []
    until = time.monotonic() + _RESULTS_SECONDS
    while time.monotonic() < until:
        records += reader.read()
        if len(records) >= expected_count:
            until = min(until, time.monotonic() + 2)
        time.sleep(_STEP_SECONDS)
    return records


def _calls(control: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    while True:
        after = calls[-1]["ordinal"] if calls else 0
        page = httpx2.get(f"{control}/calls", params={"after": after}, timeout=30).raise_for_status().json()
        assert page["dropped_count"] == 0, "the call log was too small for this run"
        if not page["calls"]:
            return calls
        calls += page["calls"]


def _committed(bootstrap: str, topics: Topics) -> dict[str, bool]:
    """Tell of each task whether its request lies below the group's committed offset."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    partitions = [TopicPartition(topics.requests.name, number) for number in range(PARTITION_COUNT)]
    future = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP, partitions)])[GROUP]
    offsets = {found.partition: found.offset for found in future.result(30).topic_partitions}
    requests = LogReader(bootstrap, topics.requests.name, PARTITION_COUNT)
    try:
        first: dict[str, bool] = {}
        for record in requests.read(_RESULTS_SECONDS):
            name = (record.key or b"").decode(errors="replace")
            first.setdefault(name, record.offset < offsets.get(record.partition, -1))
        return first
    finally:
        requests.close()


GROUP = "generation-workers"
