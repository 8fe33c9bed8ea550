"""The life of a task, and the reducer: the only judge of what a log of events means.

Every reader uses it – relay, workers, projector, checker, and the page's copy in JavaScript, held to the same golden
files. Because a task stays on one partition, all readers see one order and therefore agree:

1. progress of an attempt lower than the highest seen is ignored (a zombie wrote it);
2. within an attempt a sequence that was seen is ignored; a hole is counted;
3. the first terminal event wins, whoever wrote it; nothing after it exists;
4. a new attempt keeps the versions that are settled and drops half-written text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from contracts.attempt import OUTSIDE, Attempt
from contracts.commands import Instant, Limit, VersionPlan
from contracts.events import (
    Event,
    Reason,
    TaskAccepted,
    TaskCancelled,
    TaskCancelling,
    TaskExpired,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
    TaskWaiting,
    Terminal,
    Usage,
    VersionCompleted,
    VersionDelta,
    VersionFailed,
    VersionOutcome,
    VersionPhase,
    VersionReplaced,
    VersionStatus,
)
from contracts.findings import Finding
from contracts.task import TaskId


class Stage(StrEnum):
    """Where a task is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class VersionStage(StrEnum):
    """Where a version is: a phase, before it, or settled."""

    WAITING = "waiting"
    DRAFTING = "drafting"
    CHECKING = "checking"
    FITTING = "fitting"
    COMPLETED = "completed"
    FAILED = "failed"


SETTLED = frozenset({VersionStage.COMPLETED, VersionStage.FAILED})


class Verdict(StrEnum):
    """What the judge says of one record."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    ZOMBIE = "zombie"
    AFTER_END = "after_end"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task's log has been judged: what headers alone decide."""

    attempt: Attempt = OUTSIDE
    sequence: int = -1
    ended: bool = False
    hole_count: int = 0
    ignored_count: int = 0


def judge(progress: Progress, attempt: Attempt, sequence: int, *, terminal: bool) -> tuple[Progress, Verdict]:
    """Decide whether a record counts, from its headers alone."""
    verdict = _verdict(progress, attempt, sequence, terminal=terminal)
    if verdict is not Verdict.APPLY:
        return replace(progress, ignored_count=progress.ignored_count + 1), verdict
    if attempt < progress.attempt:  # a zombie's terminal event: it counts, its place in the order does not
        return replace(progress, ended=True), verdict
    expected = progress.sequence + 1 if attempt == progress.attempt else 0
    hole_count = progress.hole_count + max(0, sequence - expected)
    return Progress(attempt, sequence, terminal, hole_count, progress.ignored_count), verdict


def _verdict(progress: Progress, attempt: Attempt, sequence: int, *, terminal: bool) -> Verdict:
    if progress.ended:
        return Verdict.AFTER_END
    if terminal:
        return Verdict.APPLY
    if attempt < progress.attempt:
        return Verdict.ZOMBIE
    if attempt == progress.attempt and sequence <= progress.sequence:
        return Verdict.DUPLICATE
    return Verdict.APPLY


@dataclass(frozen=True, slots=True)
class VersionState:
    """One version as a viewer sees it."""

    version: int
    viewpoint: str = ""
    title: str = ""
    stage: VersionStage = VersionStage.WAITING
    text: str = field(default="", repr=False)
    characters: int = 0
    bytes: int = 0
    findings: tuple[Finding, ...] = ()
    reason: Reason | None = None
    usage: Usage = Usage()

    @property
    def settled(self) -> bool:
        """Whether nothing more happens to it."""
        return self.stage in SETTLED


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why work is held up, and until when if that is known."""

    reason: Reason
    until: Instant | None
    version: int | None


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task as its log tells it: the value of a snapshot."""

    task_id: TaskId
    stage: Stage = Stage.QUEUED
    started: bool = False
    degraded: bool = False
    reason: Reason | None = None
    waiting: Waiting | None = None
    versions: tuple[VersionState, ...] = ()
    usage: Usage = Usage()
    edition: str = ""
    school_level: str = ""
    item: str = ""
    limit: Limit | None = None
    accepted_at: Instant | None = None
    start_deadline: Instant | None = None
    end_deadline: Instant | None = None
    ended_at: Instant | None = None
    progress: Progress = Progress()

    @property
    def ended(self) -> bool:
        """Whether the terminal event has been seen."""
        return self.progress.ended

    def version(self, number: int) -> VersionState:
        """Return a version; one that the log has not named yet is waiting."""
        for state in self.versions:
            if state.version == number:
                return state
        return VersionState(number)


def reduce(state: TaskState, event: Event) -> TaskState:
    """Return the state after one more event of the task's log, in log order. Pure and total."""
    progress, verdict = judge(state.progress, event.attempt, event.sequence, terminal=event.terminal)
    if verdict is not Verdict.APPLY:
        return replace(state, progress=progress)
    if event.attempt > state.progress.attempt and not event.terminal:
        state = _begin_attempt(state)
    return replace(_apply(state, event), progress=progress)


def fold(task_id: TaskId, events: Iterable[Event]) -> TaskState:
    """Return the state that a task's whole log tells."""
    state = TaskState(task_id)
    for event in events:
        state = reduce(state, event)
    return state


def _begin_attempt(state: TaskState) -> TaskState:
    return replace(
        state,
        waiting=None,
        versions=tuple(
            version if version.settled else VersionState(version.version, version.viewpoint, version.title)
            for version in state.versions
        ),
    )


def _apply(state: TaskState, event: Event) -> TaskState:  # noqa: C901 - one arm for each kind of event
    match event:
        case TaskAccepted():
            return _accept(state, event)
        case TaskStarted():
            return replace(state, started=True, stage=_unless_cancelling(state, Stage.RUNNING))
        case TaskWaiting():
            return replace(state, waiting=Waiting(event.reason, event.until, event.version))
        case VersionPhase():
            return _with_version(state, event.version, stage=VersionStage(event.phase))
        case VersionDelta():
            return _append(state, event)
        case VersionReplaced():
            return _with_version(state, event.version, text=event.text)
        case VersionCompleted():
            return _complete(state, event)
        case VersionFailed():
            return _fail(state, event)
        case TaskCancelling():
            return replace(state, stage=Stage.CANCELLING, waiting=None)
        case TaskSucceeded() | TaskFailed() | TaskCancelled() | TaskExpired():
            return _end(state, event)
        case _:
            assert_never(event)


def _accept(state: TaskState, event: TaskAccepted) -> TaskState:
    return replace(
        state,
        edition=event.edition,
        school_level=event.school_level,
        item=event.item,
        limit=event.limit,
        accepted_at=event.accepted_at,
        start_deadline=event.start_deadline,
        end_deadline=event.end_deadline,
        versions=tuple(_planned(state, plan) for plan in event.versions),
    )


def _planned(state: TaskState, plan: VersionPlan) -> VersionState:
    return replace(state.version(plan.version), viewpoint=plan.viewpoint, title=plan.title)


def _append(state: TaskState, event: VersionDelta) -> TaskState:
    version = state.version(event.version)
    if version.settled or event.offset != len(version.text):
        return state  # after a hole the text stands still until it is replaced or completed: never a wrong text
    return _with_version(state, event.version, text=version.text + event.text)


def _complete(state: TaskState, event: VersionCompleted) -> TaskState:
    return _with_version(
        state,
        event.version,
        stage=VersionStage.COMPLETED,
        text=event.text,
        characters=event.characters,
        bytes=event.bytes,
        findings=event.findings,
        usage=event.usage,
    )


def _fail(state: TaskState, event: VersionFailed) -> TaskState:
    return _with_version(
        state,
        event.version,
        stage=VersionStage.FAILED,
        text=event.text,
        findings=event.findings,
        reason=event.reason,
        usage=event.usage,
    )


def _with_version(state: TaskState, number: int, **changes: object) -> TaskState:
    """Change one version; progress of any version means that the task no longer waits. Settled versions stay."""
    old = state.version(number)
    if old.settled:
        return state
    new = replace(old, **changes)  # type: ignore[arg-type]  # the callers above name the fields
    others = (version for version in state.versions if version.version != number)
    versions = tuple(sorted((*others, new), key=lambda version: version.version))
    return replace(state, versions=versions, waiting=None)


def _unless_cancelling(state: TaskState, stage: Stage) -> Stage:
    return state.stage if state.stage is Stage.CANCELLING else stage


def _end(state: TaskState, event: Terminal) -> TaskState:
    match event:
        case TaskSucceeded():
            stage, reason, started = Stage.SUCCEEDED, None, True
        case TaskFailed():
            stage, reason, started = Stage.FAILED, event.reason, state.started
        case TaskCancelled():
            stage, reason, started = Stage.CANCELLED, None, event.started
        case TaskExpired():
            stage, reason, started = Stage.EXPIRED, Reason.DEADLINE, event.started
        case _:
            assert_never(event)
    return replace(
        state,
        stage=stage,
        reason=reason,
        started=started,
        degraded=isinstance(event, TaskSucceeded) and event.degraded,
        waiting=None,
        versions=tuple(_concluded(state, outcome) for outcome in event.versions) or state.versions,
        usage=event.usage,
        ended_at=event.ended_at,
    )


def _concluded(state: TaskState, outcome: VersionOutcome) -> VersionState:
    """A version as the terminal event tells it, whatever was seen of it before."""
    known = state.version(outcome.version)
    stages = {
        VersionStatus.COMPLETED: VersionStage.COMPLETED,
        VersionStatus.FAILED: VersionStage.FAILED,
        VersionStatus.UNFINISHED: VersionStage.WAITING,
    }
    return VersionState(
        version=outcome.version,
        viewpoint=outcome.viewpoint or known.viewpoint,
        title=known.title,
        stage=stages[outcome.status],
        text=outcome.text,
        characters=outcome.characters,
        bytes=outcome.bytes,
        findings=outcome.findings,
        reason=outcome.reason,
        usage=outcome.usage,
    )
