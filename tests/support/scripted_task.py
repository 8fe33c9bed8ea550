"""A task whose events a test writes one by one, and a course of them that looks like the real thing."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.attempt import OUTSIDE, Attempt
from contracts.commands import Limit, VersionPlan
from contracts.events import (
    Event,
    Phase,
    Reason,
    TaskAccepted,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
    TaskWaiting,
    VersionCompleted,
    VersionDelta,
    VersionFailed,
    VersionOutcome,
    VersionPhase,
    VersionReplaced,
    VersionStatus,
)
from contracts.findings import Finding
from contracts.lifecycle import TaskState, VersionStage, reduce
from contracts.task import TaskId
from student_records.byte_count import count_bytes

_STATUSES = {VersionStage.COMPLETED: VersionStatus.COMPLETED, VersionStage.FAILED: VersionStatus.FAILED}


@dataclass
class ScriptedTask:
    """Writes the log of one task; `publish` takes each event in order."""

    task_id: TaskId
    publish: Callable[[Event], None]
    attempt: Attempt = field(default_factory=lambda: Attempt(3, 1_772_442_000_123))
    sequence: int = 0
    state: TaskState = field(init=False)

    def __post_init__(self) -> None:
        self.state = TaskState(self.task_id)

    def accept(
        self,
        item: str,
        school_level: str,
        limit: Limit,
        plans: tuple[VersionPlan, ...],
        *,
        accepted_at: datetime | None = None,
        start_seconds: float = 600,
        run_seconds: float = 300,
    ) -> TaskAccepted:
        now = accepted_at or datetime.now(UTC)
        start_deadline = now + timedelta(seconds=start_seconds)
        event = TaskAccepted(
            task_id=self.task_id,
            attempt=OUTSIDE,
            sequence=0,
            edition="2026.1",
            school_level=school_level,
            item=item,
            versions=plans,
            limit=limit,
            accepted_at=now,
            start_deadline=start_deadline,
            end_deadline=start_deadline + timedelta(seconds=run_seconds),
        )
        self._write(event)
        return event

    def start(self) -> None:
        self._write(TaskStarted(**self._place()))

    def begin_again(self) -> None:
        """Begin a new attempt, as after a crash of the worker."""
        self.attempt = Attempt(self.attempt.generation + 1, self.attempt.boot_ms)
        self.sequence = 0
        kept = tuple(version.version for version in self.state.versions if version.settled)
        self._write(TaskStarted(**self._place(), kept=kept))

    def wait(self, reason: Reason, seconds: float) -> None:
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        self._write(TaskWaiting(**self._place(), reason=reason, until=until))

    def enter(self, version: int, phase: Phase) -> None:
        self._write(VersionPhase(**self._place(), version=version, phase=phase))

    def say(self, version: int, text: str) -> None:
        offset = len(self.state.version(version).text)
        self._write(VersionDelta(**self._place(), version=version, offset=offset, text=text))

    def replace(self, version: int, text: str) -> None:
        self._write(VersionReplaced(**self._place(), version=version, text=text))

    def complete(self, version: int, text: str | None = None, findings: tuple[Finding, ...] = ()) -> None:
        whole = self.state.version(version).text if text is None else text
        self._write(
            VersionCompleted(
                **self._place(),
                version=version,
                text=whole,
                characters=len(whole),
                bytes=count_bytes(whole),
                findings=findings,
            )
        )

    def fail_version(self, version: int, reason: Reason) -> None:
        text = self.state.version(version).text
        self._write(VersionFailed(**self._place(), version=version, reason=reason, text=text))

    def succeed(self) -> None:
        degraded = any(version.stage is not VersionStage.COMPLETED for version in self.state.versions)
        self._write(TaskSucceeded(**self._ending(), degraded=degraded))

    def fail(self, reason: Reason) -> None:
        self._write(TaskFailed(**self._ending(), reason=reason))

    def cancel(self) -> None:
        self._write(TaskCancelled(**self._ending(), started=self.state.started))

    def expire(self) -> None:
        self._write(TaskExpired(**self._ending(), started=self.state.started))

    def _place(self) -> dict[str, Any]:
        place = {"task_id": self.task_id, "attempt": self.attempt, "sequence": self.sequence}
        self.sequence += 1
        return place

    def _ending(self) -> dict[str, Any]:
        outcomes = tuple(
            VersionOutcome(
                version=version.version,
                viewpoint=version.viewpoint,
                status=_STATUSES.get(version.stage, VersionStatus.UNFINISHED),
                text=version.text,
                characters=version.characters,
                bytes=version.bytes,
                findings=version.findings,
                reason=version.reason,
            )
            for version in self.state.versions
        )
        return {**self._place(), "versions": outcomes, "ended_at": datetime.now(UTC)}

    def _write(self, event: Event) -> None:
        self.state = reduce(self.state, event)
        self.publish(event)


async def write_in_turn(
    task: ScriptedTask, texts: tuple[str, ...], findings: dict[int, tuple[Finding, ...]], *, pause_seconds: float
) -> None:
    """Write one text for each version, all growing side by side, each through its three phases to the end."""
    numbers = range(1, len(texts) + 1)
    await asyncio.sleep(pause_seconds)
    task.start()
    for number in numbers:
        task.enter(number, Phase.DRAFTING)
    pieces = {number: split_text(texts[number - 1], 5 + 2 * number) for number in numbers}
    open_versions = set(numbers)
    while open_versions:
        await asyncio.sleep(pause_seconds)
        for number in sorted(open_versions):
            if piece := next(pieces[number], None):
                task.say(number, piece)
            else:
                open_versions.discard(number)
                task.enter(number, Phase.CHECKING)
                await asyncio.sleep(pause_seconds * 3)
                task.enter(number, Phase.FITTING)
                await asyncio.sleep(pause_seconds * 3)
                task.complete(number, findings=findings.get(number, ()))
    task.succeed()


def split_text(text: str, size: int) -> Iterator[str]:
    """Cut a text into pieces of at most `size` code points."""
    return (text[start : start + size] for start in range(0, len(text), size))
