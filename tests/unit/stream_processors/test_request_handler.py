"""The request handler: sound requests run, everything else is kept, and exactly the culprit fails."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

import pytest
from aiokafka.errors import KafkaConnectionError

from contracts.attempt import Attempt
from contracts.codec import Origin, RequestHeader, decode_request, encode_request
from contracts.commands import GenerationRequest
from contracts.cursor import Position
from contracts.dead_letter import DeadLetter
from contracts.events import Phase, Reason, TaskFailed, TaskStarted, TaskSucceeded, VersionCompleted, VersionPhase
from contracts.lifecycle import TaskState, VersionStage, VersionState
from contracts.task import OwnerId
from contracts.topics import Topics
from stream_processors.dispatcher import Delivery, Job, Known
from stream_processors.emitter import Emitter
from stream_processors.errors import ChildDied, LogStalled
from stream_processors.kafka_publisher import partition_of
from stream_processors.log_reader import LogReader, LogRecord
from stream_processors.order import Order, Runner
from stream_processors.request_handler import RequestHandler, Worker
from tests.support.generation import a_request
from tests.support.memory_publisher import MemoryPublisher

TOPICS = Topics(partition_count=4)
ORIGIN = Origin(OwnerId("owner"), "tests")


class MemoryCemetery(MemoryPublisher):
    """A publisher that also keeps dead letters."""

    def __init__(self) -> None:
        super().__init__()
        self.buried: list[tuple[DeadLetter, bytes | None, bytes | None]] = []

    async def bury(
        self, letter: DeadLetter, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> Position:
        self.buried.append((letter, key, value))
        return Position(0, len(self.buried))


@dataclass
class ScriptedRunner:
    """Ends each order well, unless the test has something else in store for it."""

    publisher: MemoryPublisher
    failures: list[Exception] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    first: Runner | None = None
    """Carries the first order out."""

    async def __call__(self, order: Order) -> Position:
        self.orders.append(order)
        if self.first is not None and len(self.orders) == 1:
            return await self.first(order)
        if self.failures:
            raise self.failures.pop(0)
        emitter = Emitter(self.publisher, order.request.task_id, order.attempt, order.origin)
        return await emitter.finish(TaskSucceeded, ended_at=datetime.now(UTC))


class MemoryLog:
    """Reads back what was published, as if all of it were in one partition."""

    def __init__(self, publisher: MemoryPublisher) -> None:
        self._publisher = publisher

    async def read(self, topic: str, partition: int, offset: int) -> AsyncGenerator[list[LogRecord], None]:
        yield [LogRecord(0, 0, record.key, record.value, record.headers) for record in self._publisher.records]


class Bench:
    def __init__(self) -> None:
        self.publisher = MemoryCemetery()
        self.here = ScriptedRunner(self.publisher)
        self.child = ScriptedRunner(self.publisher)
        self.handle = RequestHandler(
            Worker("stream_processors/test", 1000),
            TOPICS,
            self.publisher,
            cast("LogReader", MemoryLog(self.publisher)),
            run=self.here,
            run_in_child=self.child,
        )


def a_delivery(request: GenerationRequest) -> Delivery:
    record = encode_request(request, ORIGIN, RequestHeader("digest", Position(0, 0)))
    partition = partition_of(record.key, TOPICS.partition_count)
    return Delivery(partition, 7, record.key, record.value, record.headers)


def a_job(known: Known | None = None, crash_count: int = 0) -> Job:
    return Job(a_delivery(a_request()), known, crash_count, generation=3)


async def test_a_sound_request_runs_here_in_an_attempt_of_its_own() -> None:
    bench = Bench()
    assert await bench.handle(a_job())
    (order,) = bench.here.orders
    assert (order.attempt, order.origin.owner) == (Attempt(3, 1000), ORIGIN.owner)
    assert [version.version for version in order.known.versions] == [1, 2, 3]
    assert bench.publisher.buried == []


async def test_what_the_log_knows_is_kept_and_the_attempt_rises_above_it() -> None:
    bench = Bench()
    request = a_request()
    settled = VersionState(2, stage=VersionStage.COMPLETED, text="글")
    known = Known(TaskState(request.task_id, started=True, versions=(settled,)), 1, Attempt(9, 99))
    assert await bench.handle(a_job(known))
    (order,) = bench.here.orders
    assert order.attempt > known.highest
    assert order.known.version(2).text == "글"
    assert order.known.version(2).viewpoint == request.versions[1].viewpoint
    assert order.known.started


@pytest.mark.parametrize(
    ("crash_count", "attempt_count", "in_child"),
    [(0, 3, False), (1, 1, False), (2, 0, False), (2, 1, True), (3, 0, True)],
)
async def test_suspects_run_in_a_process_of_their_own(crash_count: int, attempt_count: int, in_child: bool) -> None:
    bench = Bench()
    known = Known(TaskState(a_request().task_id), attempt_count)
    assert await bench.handle(a_job(known, crash_count))
    assert (len(bench.child.orders), len(bench.here.orders)) == ((1, 0) if in_child else (0, 1))


async def test_a_task_that_kills_its_child_fails_with_what_it_had_and_is_kept() -> None:
    bench = Bench()
    request = a_request()
    settled = VersionState(1, stage=VersionStage.COMPLETED, text="글", characters=1, bytes=3)
    bench.child.failures = [
        ChildDied(-9, Known(TaskState(request.task_id, versions=(settled,)), draft_counts={1: 1, 2: 3}))
    ]
    assert await bench.handle(a_job(crash_count=3))
    (failed,) = bench.publisher.of(TaskFailed)
    assert failed.reason is Reason.WORKER_CRASHED
    assert failed.attempt > bench.child.orders[0].attempt
    assert [outcome.text for outcome in failed.versions] == ["글"]
    assert (failed.usage.call_count, failed.usage.discarded_call_count) == (3, 3)  # of the version that was not kept
    ((letter, key, value),) = bench.publisher.buried
    assert letter.reason == "worker_crashed"
    assert decode_request(key, value) == request


async def test_a_task_that_breaks_our_own_code_is_tried_again_and_then_fails() -> None:
    bench = Bench()
    bench.here.failures = [ValueError("first")]
    assert await bench.handle(a_job())
    assert len(bench.publisher.of(TaskSucceeded)) == 1
    bench = Bench()
    bench.here.failures = [ValueError("first"), ValueError("second")]
    assert await bench.handle(a_job())
    (failed,) = bench.publisher.of(TaskFailed)
    assert failed.reason is Reason.INTERNAL
    assert len(bench.publisher.buried) == 1


async def test_another_try_keeps_what_the_broken_one_has_settled_and_counts_its_calls() -> None:
    bench = Bench()
    request = a_request()

    async def break_after_one_version(order: Order) -> Position:
        emitter = Emitter(bench.publisher, request.task_id, order.attempt, order.origin)
        await emitter.emit(TaskStarted)
        for version in (1, 2):
            await emitter.emit(VersionPhase, version=version, phase=Phase.DRAFTING)
        await (await emitter.emit(VersionCompleted, version=1, text="글", characters=1, bytes=3))
        raise ValueError("broken")

    bench.here.first = break_after_one_version
    assert await bench.handle(a_job())
    second = bench.here.orders[1]
    assert second.attempt > bench.here.orders[0].attempt
    assert second.known.started
    assert [version.settled for version in second.known.versions] == [True, False, False]
    assert second.known.version(2).viewpoint == request.versions[1].viewpoint
    assert second.draft_counts == {1: 1, 2: 1}


async def test_a_task_that_another_worker_has_ended_is_acknowledged_and_left_alone() -> None:
    class EndedTail:
        async def recall(self, key: bytes, offset: int) -> Known | None:
            return None

    bench = Bench()

    async def learn(order: Order) -> Position:
        assert order.recall is not None
        await order.recall(Position(0, 0))
        raise AssertionError("it has ended")

    bench.here.first = learn
    assert await bench.handle(replace(a_job(), tail=EndedTail()))
    assert (bench.publisher.records, bench.publisher.buried) == ([], [])


async def test_a_log_that_cannot_be_read_on_stops_no_task() -> None:
    class StalledTail:
        async def recall(self, key: bytes, offset: int) -> Known | None:
            raise LogStalled("nothing comes")

    bench = Bench()
    assert await bench.handle(replace(a_job(), tail=StalledTail()))
    recall = bench.here.orders[0].recall
    assert recall is not None
    assert await recall(Position(0, 0)) is None  # nothing new: what the order says stays


async def test_a_kafka_that_takes_nothing_ends_the_worker_not_the_task() -> None:
    bench = Bench()
    bench.here.failures = [KafkaConnectionError()]
    with pytest.raises(KafkaConnectionError):
        await bench.handle(a_job())
    assert (bench.publisher.records, bench.publisher.buried) == ([], [])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda sound: Delivery(sound.partition, 1, sound.key, b"[]", sound.headers), "malformed_record"),
        (lambda sound: Delivery(sound.partition, 1, sound.key, None, sound.headers), "malformed_record"),
        (lambda sound: Delivery(sound.partition, 1, None, sound.value, sound.headers), "malformed_record"),
        (lambda sound: Delivery(sound.partition, 1, b"x" * 32, sound.value, sound.headers), "malformed_record"),
        (lambda sound: Delivery(sound.partition ^ 1, 1, sound.key, sound.value, sound.headers), "malformed_record"),
        (lambda sound: Delivery(sound.partition, 1, sound.key, sound.value, []), "malformed_record"),
        (lambda sound: spoiled_header(sound, "schema_version", b"9.0"), "unsupported_schema"),
        (lambda sound: spoiled_header(sound, "ce_type", b"something.else"), "unknown_type"),
    ],
)
async def test_a_record_that_is_no_request_is_kept_with_its_reason_and_never_with_its_words(
    spoil: Callable[[Delivery], Delivery], reason: str
) -> None:
    bench = Bench()
    delivery = spoil(a_delivery(a_request(notes="비밀 관찰")))
    assert not bench.handle.is_sound(delivery)
    job = Job(delivery, None, 0, generation=3, settled=True)
    assert not await bench.handle(job)
    ((letter, key, value),) = bench.publisher.buried
    assert letter.reason.startswith(reason)
    assert "비밀" not in letter.reason
    assert (key, value) == (delivery.key, delivery.value)
    assert bench.publisher.records == []


def spoiled_header(sound: Delivery, name: str, value: bytes) -> Delivery:
    headers = [(one, value if one == name else old) for one, old in sound.headers]
    return Delivery(sound.partition, 1, sound.key, sound.value, headers)


async def test_the_order_carries_the_signal_to_cancel() -> None:
    bench = Bench()
    job = a_job()
    assert await bench.handle(job)
    assert bench.here.orders[0].cancelled is job.cancelled
