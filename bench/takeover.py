"""`python -m bench.takeover`: how long a worker reads before it works on a partition that it took over.

One partition holds the logs of tasks that ran at the same time: some have ended, some are in flight, each with a given
number of deltas. *fold* is what a new owner does (`KafkaHistorian`), *read* the same records with the same reader and
nothing done with them, the floor. They take turns, and change who goes first with each round.
"""

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from aiokafka import AIOKafkaProducer

from bench.relay.stage import DELTA_CHARACTERS
from contracts.attempt import Attempt
from contracts.codec import Origin, Record, RequestHeader, encode_event, encode_request
from contracts.commands import GenerationRequest, Limit, VersionPlan
from contracts.cursor import Position
from contracts.events import (
    Phase,
    TaskEvent,
    TaskStarted,
    TaskSucceeded,
    VersionCompleted,
    VersionDelta,
    VersionPhase,
)
from contracts.task import OwnerId, TaskId
from contracts.topics import Topics
from deploy.local.broker import Broker
from deploy.topics import ensure_topics
from stream_processors.historian import KafkaHistorian
from stream_processors.log_reader import LogReader

_TOPICS = Topics("bench", partition_count=1)
_ORIGIN = Origin(OwnerId("owner"), "bench")
_ATTEMPT = Attempt(1, 1_763_852_917_123)
_TEXT = "가" * DELTA_CHARACTERS
_NOW = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Load:
    """What the partition holds."""

    ended_count: int
    open_count: int
    delta_count: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.takeover", description=__doc__)
    parser.add_argument("--ended", type=int, default=100, help="tasks that have ended since the oldest open request")
    parser.add_argument("--open", type=int, default=20, help="tasks in flight: as many as one partition has slots")
    parser.add_argument("--deltas", type=int, default=360, help="deltas of each task")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="bench-takeover-") as folder, Broker(Path(folder), heap_mb=512) as broker:
        asyncio.run(_measure(broker.bootstrap, Load(options.ended, options.open, options.deltas), options.rounds))
    return 0


async def _measure(bootstrap: str, load: Load, round_count: int) -> None:
    await ensure_topics(bootstrap, _TOPICS)
    record_count = await _write(bootstrap, load)
    reader = LogReader(bootstrap)
    historian = KafkaHistorian(reader, _TOPICS)

    async def fold() -> None:
        history = await historian(0, 0)
        assert (len(history.ended), len(history.known)) == (load.ended_count, load.open_count)

    async def read() -> None:
        count = 0
        async with aclosing(reader.read(_TOPICS.events.name, 0, 0)) as batches:
            async for batch in batches:
                count += len(batch)
        assert count == record_count

    times: dict[str, list[float]] = {"read": [], "fold": []}
    contestants: list[tuple[str, Callable[[], Awaitable[None]]]] = [("read", read), ("fold", fold)]
    await read()
    for number in range(round_count):
        for name, work in contestants if number % 2 else reversed(contestants):
            began = time.perf_counter()
            await work()
            times[name].append(time.perf_counter() - began)
    floor, ours = (statistics.median(times[name]) for name in ("read", "fold"))
    print(f"{record_count} records, {load.ended_count} tasks ended, {load.open_count} in flight; {round_count} rounds")
    print(f"read {floor:.3f} s   fold {ours:.3f} s ({ours / floor:.2f}×), {record_count / ours:,.0f} records a second")


async def _write(bootstrap: str, load: Load) -> int:
    """Write all tasks' logs in turn, as when they run at the same time; return how many events."""
    tasks = [TaskId(f"{number:032x}") for number in range(load.ended_count + load.open_count)]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5) as producer:
        for task in tasks:
            await _send(producer, _TOPICS.requests.name, _request(task))
        count = 0
        logs = [_log(task, load.delta_count, ended=number < load.ended_count) for number, task in enumerate(tasks)]
        for step in range(max(map(len, logs))):
            for log in logs:
                if step < len(log):
                    await _send(producer, _TOPICS.events.name, encode_event(log[step], _ORIGIN))
                    count += 1
        await producer.flush()
    return count


async def _send(producer: AIOKafkaProducer, topic: str, record: Record) -> None:
    await producer.send(topic, record.value, key=record.key, headers=record.headers)


def _request(task: TaskId) -> Record:
    request = GenerationRequest(
        task_id=task,
        edition="2026.1",
        school_level="high",
        item="subject",
        notes="자료를 모아 정리함",
        versions=(VersionPlan(version=1, viewpoint="inquiry", title="탐구"),),
        limit=Limit(characters=500, bytes=1500),
        accepted_at=_NOW,
        start_deadline=_NOW,
        end_deadline=_NOW,
    )
    return encode_request(request, _ORIGIN, RequestHeader("digest", Position(0, 0)))


def _log(task: TaskId, delta_count: int, *, ended: bool) -> list[TaskEvent]:
    place = {"task_id": task, "attempt": _ATTEMPT}
    log: list[TaskEvent] = [TaskStarted.model_validate({**place, "sequence": 0})]

    def add(event_type: type[TaskEvent], **fields: object) -> None:
        log.append(event_type.model_validate({**place, "sequence": len(log), **fields}))

    add(VersionPhase, version=1, phase=Phase.DRAFTING)
    for number in range(delta_count):
        add(VersionDelta, version=1, offset=number * len(_TEXT), text=_TEXT)
    if ended:
        add(VersionCompleted, version=1, text=_TEXT, characters=len(_TEXT), bytes=len(_TEXT.encode()))
        add(TaskSucceeded, ended_at=_NOW)
    return log


if __name__ == "__main__":
    raise SystemExit(main())
