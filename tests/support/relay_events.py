"""Builders for the relay's tests: the events of a task, as records and as Kafka messages."""

from datetime import UTC, datetime, timedelta

from confluent_kafka import Message

from contracts.attempt import OUTSIDE, Attempt
from contracts.codec import Origin, Record, encode_event
from contracts.commands import Limit, VersionPlan
from contracts.events import (
    Event,
    Phase,
    TaskAccepted,
    TaskStarted,
    TaskSucceeded,
    VersionCompleted,
    VersionDelta,
    VersionOutcome,
    VersionPhase,
    VersionReplaced,
    VersionStatus,
)
from contracts.task import OwnerId, TaskId

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FIRST_ATTEMPT = Attempt(1, 1_000)


def accepted(task_id: TaskId, *, version_count: int = 2) -> TaskAccepted:
    plans = tuple(VersionPlan(version=n, viewpoint=f"view{n}", title=f"title {n}") for n in range(1, version_count + 1))
    return TaskAccepted(
        task_id=task_id,
        attempt=OUTSIDE,
        sequence=0,
        edition="2026",
        school_level="high",
        item="subject",
        versions=plans,
        limit=Limit(characters=500, bytes=1500),
        accepted_at=NOW,
        start_deadline=NOW + timedelta(days=9000),
        end_deadline=NOW + timedelta(days=9000),
    )


class TaskStory:
    """Writes the events of one task in order, as a worker would."""

    def __init__(self, task_id: TaskId, attempt: Attempt = FIRST_ATTEMPT) -> None:
        self.task_id = task_id
        self.attempt = attempt
        self.sequence = -1
        self._length = {1: 0, 2: 0}

    def accepted(self) -> TaskAccepted:
        return accepted(self.task_id)

    def started(self) -> TaskStarted:
        return TaskStarted(task_id=self.task_id, attempt=self.attempt, sequence=self._next())

    def begin_attempt(self, attempt: Attempt) -> TaskStarted:
        self.attempt, self.sequence, self._length = attempt, -1, {1: 0, 2: 0}
        return self.started()

    def phase(self, phase: Phase = Phase.DRAFTING, version: int = 1) -> VersionPhase:
        return VersionPhase(
            task_id=self.task_id, attempt=self.attempt, sequence=self._next(), version=version, phase=phase
        )

    def delta(self, text: str = "말 ", version: int = 1) -> VersionDelta:
        offset = self._length[version]
        self._length[version] += len(text)
        return VersionDelta(
            task_id=self.task_id,
            attempt=self.attempt,
            sequence=self._next(),
            version=version,
            offset=offset,
            text=text,
        )

    def replaced(self, text: str, version: int = 1) -> VersionReplaced:
        self._length[version] = len(text)
        return VersionReplaced(
            task_id=self.task_id, attempt=self.attempt, sequence=self._next(), version=version, text=text
        )

    def completed(self, text: str = "끝난 글", version: int = 1) -> VersionCompleted:
        return VersionCompleted(
            task_id=self.task_id,
            attempt=self.attempt,
            sequence=self._next(),
            version=version,
            text=text,
            characters=len(text),
            bytes=len(text.encode()),
        )

    def succeeded(self, *, outcomes: bool = True) -> TaskSucceeded:
        status = VersionStatus.COMPLETED
        versions = tuple(VersionOutcome(version=n, status=status, text=f"글 {n}") for n in (1, 2)) if outcomes else ()
        return TaskSucceeded(
            task_id=self.task_id, attempt=self.attempt, sequence=self._next(), versions=versions, ended_at=NOW
        )

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence


def record(event: Event, owner: str = "owner") -> Record:
    return encode_event(event, Origin(OwnerId(owner), "test"))


def message(event: Event, partition: int, offset: int, owner: str = "owner") -> Message:
    made = record(event, owner)
    return raw_message(partition, offset, made.key, made.value, made.headers)


def raw_message(
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]] | list[tuple[str, bytes]],
) -> Message:
    return Message(topic="t", partition=partition, offset=offset, key=key, value=value, headers=headers)
