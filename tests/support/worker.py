"""Workers and projectors as processes, and a client that writes and reads the topics as the API and the relay do."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.attempt import OUTSIDE
from contracts.codec import (
    Origin,
    Record,
    RecordHeader,
    RequestHeader,
    decode_event,
    encode_cancellation,
    encode_event,
    encode_request,
    read_header,
)
from contracts.commands import CancellationRequest, GenerationRequest, Limit, VersionPlan
from contracts.cursor import Position
from contracts.events import Event, TaskAccepted
from contracts.lifecycle import TaskState, fold
from contracts.task import OwnerId, TaskId, new_task_id
from contracts.topics import Topics
from deploy.topics import ensure_topics
from student_records.edition import edition_of
from student_records.items import Item
from student_records.viewpoints import viewpoints_for

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = Origin(OwnerId("teacher"), "tests")
_WAIT_SECONDS = 60.0


@dataclass
class Process:
    """A worker or projector; its log goes to a file."""

    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self, timeout_seconds: float = 45) -> int:
        """Ask for the end, and return the exit status."""
        self.process.terminate()
        return self.process.wait(timeout_seconds)

    async def logged(self, pattern: str, timeout_seconds: float = _WAIT_SECONDS) -> "re.Match[str]":
        """Wait for a line of the log."""
        end = time.monotonic() + timeout_seconds
        while not (found := re.search(pattern, self.log)):
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < end, f"no {pattern!r} in:\n{self.log}"
            await asyncio.sleep(0.02)
        return found


@dataclass
class WorkerFleet:
    """Starts processes against one broker and set of topics; ends them all when the test ends."""

    bootstrap: str
    topics: Topics
    directory: Path
    started: list[Process] = field(default_factory=list)

    def worker(self, name: str = "", module: str = "tests.support.scripted_worker", **settings: object) -> Process:
        name = name or f"worker-{len(self.started)}"
        merged = {"heartbeat_seconds": 1, "session_seconds": 6, "commit_seconds": 0.2} | settings
        return self._start(module, name, "WORKER", {"name": name, "group": f"{self.topics.prefix}-w"} | merged)

    def projector(self, name: str = "", **settings: object) -> Process:
        name = name or f"projector-{len(self.started)}"
        merged = {"session_seconds": 6, "group": f"{self.topics.prefix}-p"} | settings
        return self._start("stream_processors.projector", name, "PROJECTOR", merged)

    def _start(self, module: str, name: str, prefix: str, settings: dict[str, object]) -> Process:
        place = {
            "bootstrap": self.bootstrap,
            "topic_prefix": self.topics.prefix,
            "partition_count": self.topics.partition_count,
        }
        environment = {f"{prefix}_{key}".upper(): str(value) for key, value in (place | settings).items()}
        log_path = self.directory / f"{name}-{len(self.started)}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(Process(process, log_path))
        return self.started[-1]

    def end(self) -> None:
        for started in self.started:
            if started.process.poll() is None:
                started.process.send_signal(signal.SIGCONT)
                started.kill()


@contextmanager
def fleet(bootstrap: str, topics: Topics, directory: Path) -> Iterator[WorkerFleet]:
    fleet = WorkerFleet(bootstrap, topics, directory)
    try:
        yield fleet
    finally:
        fleet.end()


@dataclass
class Written:
    """One record of the events topic, as a test looks at it."""

    position: Position
    header: RecordHeader
    event: Event
    written_at: float


@dataclass
class Log:
    """Everything that is in the events topic so far."""

    records: list[Written] = field(default_factory=list)

    def of(self, task_id: TaskId) -> list[Event]:
        return [written.event for written in self.records if written.event.task_id == task_id]

    def state(self, task_id: TaskId) -> TaskState:
        return fold(task_id, self.of(task_id))

    def terminal_count(self, task_id: TaskId) -> int:
        return sum(event.terminal for event in self.of(task_id))


class KafkaClient:
    """Submits, cancels and reads."""

    def __init__(self, bootstrap: str, topics: Topics, producer: AIOKafkaProducer) -> None:
        self.bootstrap = bootstrap
        self.topics = topics
        self.producer = producer

    async def accept(self, request: GenerationRequest) -> Position:
        accepted = TaskAccepted(
            task_id=request.task_id,
            attempt=OUTSIDE,
            sequence=0,
            **request.model_dump(exclude={"task_id", "notes", "target_ratio"}),
        )
        return await self.write(self.topics.events.name, encode_event(accepted, ORIGIN))

    async def submit(self, notes: str = "자료를 모아 정리함", **changes: Any) -> TaskId:
        request = a_request(notes, **changes)
        start = await self.accept(request)
        await self.write(self.topics.requests.name, encode_request(request, ORIGIN, RequestHeader("digest", start)))
        return request.task_id

    async def submit_all(self, notes: list[str], **changes: Any) -> list[TaskId]:
        return list(await asyncio.gather(*(self.submit(each, **changes) for each in notes)))

    async def cancel(self, task_id: TaskId) -> None:
        command = CancellationRequest(task_id=task_id, requested_at=datetime.now(UTC))
        await self.write(self.topics.cancellations.name, encode_cancellation(command, ORIGIN))

    async def write(self, topic: str, record: Record) -> Position:
        sent = await self.producer.send_and_wait(topic, record.value, key=record.key, headers=record.headers)
        return Position(sent.partition, sent.offset)

    async def write_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]] | None = None
    ) -> Position:
        sent = await self.producer.send_and_wait(topic, value, key=key, headers=headers or [])
        return Position(sent.partition, sent.offset)

    async def read_all(self, topic: str, *, committed_only: bool = False) -> list[Any]:
        """Return every record of a topic, up to where it ends now."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed" if committed_only else "read_uncommitted",
            fetch_max_wait_ms=20,
        )
        async with consumer:
            partitions = [TopicPartition(topic, number) for number in range(self.topics.partition_count)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            records = []
            for partition in partitions:
                consumer.seek(partition, 0)
            waiting = {partition for partition in partitions if ends[partition]}
            while waiting:
                found = await consumer.getmany(*waiting, timeout_ms=100)
                records += [record for batch in found.values() for record in batch]
                waiting = {one for one in waiting if await consumer.position(one) < ends[one]}
            return records

    async def log(self) -> Log:
        return Log(
            [
                Written(
                    Position(record.partition, record.offset),
                    read_header(record.headers),
                    decode_event(record.key, record.value, record.headers),
                    record.timestamp / 1000,
                )
                for record in await self.read_all(self.topics.events.name)
            ]
        )

    async def log_when(self, happened: Callable[[Log], bool], timeout_seconds: float = _WAIT_SECONDS) -> Log:
        """Read until the log is as expected."""
        end = time.monotonic() + timeout_seconds
        while not happened(log := await self.log()):
            assert time.monotonic() < end, [(w.header.type, w.event.task_id, str(w.position)) for w in log.records]
            await asyncio.sleep(0.05)
        return log

    async def log_when_ended(self, *tasks: TaskId, timeout_seconds: float = _WAIT_SECONDS) -> Log:
        return await self.log_when(
            lambda log: all(log.state(task).ended for task in tasks), timeout_seconds=timeout_seconds
        )

    async def lag(self, group: str | None = None) -> int:
        """Return how many requests the workers' group has not committed."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=group or f"{self.topics.prefix}-w", enable_auto_commit=False
        )
        async with consumer:
            partitions = [
                TopicPartition(self.topics.requests.name, number) for number in range(self.topics.partition_count)
            ]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            return sum([ends[partition] - (await consumer.committed(partition) or 0) for partition in partitions])

    async def caught_up(self, timeout_seconds: float = _WAIT_SECONDS) -> None:
        """Wait until every request is committed."""
        end = time.monotonic() + timeout_seconds
        while lag := await self.lag():
            assert time.monotonic() < end, f"{lag} requests are not committed"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def kafka_client(bootstrap: str, prefix: str, partition_count: int = 4) -> AsyncIterator[KafkaClient]:
    """Create topics of a test's own, and a client for them."""
    topics = Topics(prefix, partition_count)
    await ensure_topics(bootstrap, topics)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    async with producer:
        yield KafkaClient(bootstrap, topics, producer)


def a_request(
    notes: str = "자료를 모아 정리함",
    *,
    task_id: TaskId | None = None,
    version_count: int = 1,
    start_seconds: float = 120,
    end_seconds: float = 240,
) -> GenerationRequest:
    now = datetime.now(UTC)
    viewpoints = viewpoints_for(edition_of("2026.1"), Item.SUBJECT, version_count)
    return GenerationRequest(
        task_id=task_id or new_task_id(),
        edition="2026.1",
        school_level="high",
        item="subject",
        notes=notes,
        versions=tuple(
            VersionPlan(version=number, viewpoint=viewpoint.id, title=viewpoint.title)
            for number, viewpoint in enumerate(viewpoints, start=1)
        ),
        limit=Limit(characters=500, bytes=1500),
        accepted_at=now,
        start_deadline=now + timedelta(seconds=start_seconds),
        end_deadline=now + timedelta(seconds=end_seconds),
    )
