"""The use cases, over topics in memory."""

import asyncio
from datetime import UTC, datetime

import pytest

from contracts.codec import decode_cancellation, decode_event, decode_request, read_header, read_request_header
from contracts.cursor import Position
from contracts.events import TaskAccepted
from contracts.task import OwnerId
from contracts.topics import Topics
from producer_api.accepted_task import Deadlines
from producer_api.admission import OwnerRates, QueueGate
from producer_api.caller import Caller
from producer_api.errors import KafkaUnavailable, KeyReused, QueueTooLong, TaskNotFound, TooManyRequests
from producer_api.intake import Intake, IntakeRules
from producer_api.metrics import Metrics
from producer_api.submission import Submission
from student_records.items import Item
from tests.unit.producer_api.memory_kafka import MemoryKafka

TOPICS = Topics()
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ANN, BEN = Caller(OwnerId("ann"), TRACE), Caller(OwnerId("ben"))
SUBMISSION = Submission(item=Item.SUBJECT, notes="광합성 실험을 설계함")
OTHER = Submission(item=Item.SUBJECT, notes="다른 메모")


class Situation:
    """What an intake sees of the world, to be changed by a test."""

    def __init__(self, burst_count: int = 1000) -> None:
        self.kafka = MemoryKafka(TOPICS.requests.name)
        self.metrics = Metrics()
        self.lag: int | None = 0
        self.problem: str | None = None
        self.intake = Intake(
            IntakeRules(Deadlines(600, 300), 5.0, 2026, b"s" * 32),
            TOPICS,
            self.kafka,
            self.kafka,
            OwnerRates(1.0, burst_count, 10, lambda: 0.0),
            QueueGate(task_seconds=30, slot_count=10, start_deadline_seconds=600),
            lag=lambda: self.lag,
            problem=lambda: self.problem,
            now=lambda: datetime.now(UTC),
            metrics=self.metrics,
        )

    def outcome_count(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("api_submissions_total", {"outcome": outcome}) or 0.0

    @property
    def request_count(self) -> int:
        return len(self.kafka.topics[TOPICS.requests.name])


@pytest.fixture
def situation() -> Situation:
    return Situation()


async def test_the_first_event_is_written_before_the_request_that_says_where_it_is(situation: Situation) -> None:
    task = await situation.intake.submit(ANN, SUBMISSION, None)
    assert situation.kafka.order == [TOPICS.events.name, TOPICS.requests.name]
    event_record, request_record = (situation.kafka.topics[name][0] for name in situation.kafka.order)
    event = decode_event(event_record.key, event_record.value, event_record.headers)
    request = decode_request(request_record.key, request_record.value)
    assert isinstance(event, TaskAccepted)
    assert event.task_id == request.task_id == task.task_id
    header = read_request_header(request_record.headers)
    assert (header.digest, header.start) == (SUBMISSION.digest, Position(0, 0))
    for record in (event_record, request_record):
        assert (read_header(record.headers).owner, read_header(record.headers).traceparent) == ("ann", TRACE)


async def test_without_a_key_every_submission_is_a_task_of_its_own(situation: Situation) -> None:
    tasks = [await situation.intake.submit(ANN, SUBMISSION, None) for _ in range(3)]
    assert len({task.task_id for task in tasks}) == 3


async def test_the_same_key_is_the_same_task_with_the_same_deadlines(situation: Situation) -> None:
    first = await situation.intake.submit(ANN, SUBMISSION, "key")
    assert await situation.intake.submit(ANN, SUBMISSION, "key") == first
    assert situation.request_count == 1
    assert (situation.outcome_count("accepted"), situation.outcome_count("repeated")) == (1, 1)


async def test_the_same_key_of_another_owner_is_another_task(situation: Situation) -> None:
    anns = await situation.intake.submit(ANN, SUBMISSION, "key")
    bens = await situation.intake.submit(BEN, SUBMISSION, "key")
    assert anns.task_id != bens.task_id


async def test_the_same_key_with_another_body_writes_nothing(situation: Situation) -> None:
    await situation.intake.submit(ANN, SUBMISSION, "key")
    before = list(situation.kafka.order)
    with pytest.raises(KeyReused):
        await situation.intake.submit(ANN, OTHER, "key")
    assert situation.kafka.order == before


async def test_fifty_at_once_with_one_key_are_one_task(situation: Situation) -> None:
    tasks = await asyncio.gather(*(situation.intake.submit(ANN, SUBMISSION, "key") for _ in range(50)))
    assert len(set(tasks)) == 1
    assert situation.kafka.order == [TOPICS.events.name, TOPICS.requests.name]


async def test_of_two_processes_that_race_the_first_request_in_the_log_decides(situation: Situation) -> None:
    other = Situation()
    other.kafka.topics, other.kafka.order = situation.kafka.topics, situation.kafka.order
    mine, theirs = await asyncio.gather(
        situation.intake.submit(ANN, SUBMISSION, "key"), other.intake.submit(ANN, SUBMISSION, "key")
    )
    assert mine == theirs
    assert situation.request_count == 2
    assert mine.position == Position(0, 0)


async def test_of_two_processes_that_race_with_two_bodies_one_is_refused(situation: Situation) -> None:
    other = Situation()
    other.kafka.topics, other.kafka.order = situation.kafka.topics, situation.kafka.order
    outcomes = await asyncio.gather(
        situation.intake.submit(ANN, SUBMISSION, "key"),
        other.intake.submit(ANN, OTHER, "key"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(KeyReused) == 1


async def test_a_kafka_that_is_known_to_be_away_is_not_written_to(situation: Situation) -> None:
    situation.problem = "Kafka cannot be reached"
    with pytest.raises(KafkaUnavailable) as refused:
        await situation.intake.submit(ANN, SUBMISSION, "key")
    assert refused.value.headers == {"Retry-After": "2"}
    assert situation.kafka.order == []


async def test_a_known_task_is_answered_even_while_kafka_is_away(situation: Situation) -> None:
    first = await situation.intake.submit(ANN, SUBMISSION, "key")
    situation.problem = "Kafka cannot be reached"
    assert await situation.intake.submit(ANN, SUBMISSION, "key") == first


async def test_what_was_half_written_when_kafka_went_away_becomes_one_task_with_the_same_key(
    situation: Situation,
) -> None:
    situation.kafka.away_after = 1
    with pytest.raises(KafkaUnavailable):
        await situation.intake.submit(ANN, SUBMISSION, "key")
    assert situation.request_count == 0
    situation.kafka.away_after = None
    task = await situation.intake.submit(ANN, SUBMISSION, "key")
    assert task.start == Position(0, 1)
    assert situation.request_count == 1


async def test_an_owner_over_their_rate_is_refused_before_anything_is_written() -> None:
    situation = Situation(burst_count=1)
    await situation.intake.submit(ANN, SUBMISSION, "key")
    before = list(situation.kafka.order)
    with pytest.raises(TooManyRequests) as refused:
        await situation.intake.submit(ANN, SUBMISSION, None)
    assert refused.value.headers == {"Retry-After": "1"}
    assert situation.kafka.order == before
    assert (await situation.intake.submit(ANN, SUBMISSION, "key")).owner == "ann"


async def test_a_queue_that_is_too_long_is_not_made_longer(situation: Situation) -> None:
    situation.lag = 1000
    with pytest.raises(QueueTooLong):
        await situation.intake.submit(ANN, SUBMISSION, None)
    assert situation.kafka.order == []


async def test_an_unknown_lag_lets_submissions_through_and_is_counted(situation: Situation) -> None:
    situation.lag = None
    await situation.intake.submit(ANN, SUBMISSION, None)
    assert situation.metrics.registry.get_sample_value("api_lag_unknown_total") == 1


async def test_the_owner_of_a_task_cancels_it(situation: Situation) -> None:
    task = await situation.intake.submit(ANN, SUBMISSION, None)
    await situation.intake.cancel(ANN, task.task_id)
    (record,) = situation.kafka.topics[TOPICS.cancellations.name]
    assert decode_cancellation(record.key, record.value).task_id == task.task_id
    assert read_header(record.headers).owner == "ann"


@pytest.mark.parametrize("task_id", ["", "x", "A" * 32, "0" * 32, "0" * 33, "../secret", "ì"])
async def test_an_unknown_or_malformed_id_is_not_found(situation: Situation, task_id: str) -> None:
    with pytest.raises(TaskNotFound, match="no such task of yours"):
        await situation.intake.cancel(ANN, task_id)


async def test_somebody_elses_task_is_not_found_either(situation: Situation) -> None:
    task = await situation.intake.submit(ANN, SUBMISSION, None)
    with pytest.raises(TaskNotFound, match="no such task of yours"):
        await situation.intake.cancel(BEN, task.task_id)
    assert TOPICS.cancellations.name not in situation.kafka.order
