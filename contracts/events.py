"""Events: what has happened to a task. Many readers; docs/PROTOCOL.md describes each for a client."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from contracts.attempt import AttemptField
from contracts.commands import Instant, Limit, VersionPlan
from contracts.findings import Finding
from contracts.task import TaskId
from contracts.wire import Wire


class Phase(StrEnum):
    """The steps of a version on its way."""

    DRAFTING = "drafting"
    CHECKING = "checking"
    FITTING = "fitting"


class Reason(StrEnum):
    """Why a version or a task failed, or why it waits. Closed: a reader may switch on it."""

    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    LENGTH = "length"
    REFUSED = "refused"
    FILTERED = "filtered"
    PROTOCOL = "protocol"
    UNAUTHORISED = "unauthorised"
    INVALID_REQUEST = "invalid_request"
    FORBIDDEN_CONTENT = "forbidden_content"
    TOO_LONG = "too_long"
    BUDGET_EXHAUSTED = "budget_exhausted"
    DEADLINE = "deadline"
    WORKER_CRASHED = "worker_crashed"
    MALFORMED_COMMAND = "malformed_command"
    INTERNAL = "internal"


class VersionStatus(StrEnum):
    """What became of a version when its task ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    UNFINISHED = "unfinished"


class Usage(Wire):
    """What was paid for: calls and tokens, and how much of them was thrown away (failed or repeated calls)."""

    model: str = ""
    call_count: int = Field(default=0, ge=0)
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    discarded_call_count: int = Field(default=0, ge=0)
    discarded_tokens: int = Field(default=0, ge=0)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            model=self.model or other.model,
            call_count=self.call_count + other.call_count,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            discarded_call_count=self.discarded_call_count + other.discarded_call_count,
            discarded_tokens=self.discarded_tokens + other.discarded_tokens,
        )


class VersionOutcome(Wire):
    """A version as the terminal event tells it: enough by itself, whatever was missed before."""

    version: int = Field(ge=1)
    viewpoint: str = ""
    status: VersionStatus = Field(strict=False)
    text: str = Field(default="", repr=False)
    characters: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)
    findings: tuple[Finding, ...] = Field(default=(), strict=False, repr=False)
    reason: Reason | None = Field(default=None, strict=False)
    usage: Usage = Usage()


class TaskEvent(Wire):
    """What all events have: the task, the attempt that wrote it, and its place in that attempt."""

    terminal: ClassVar[bool] = False

    type: str
    task_id: TaskId
    attempt: AttemptField
    sequence: int = Field(ge=0)


class TaskAccepted(TaskEvent):
    """Kafka has the request. Written by the API, so that a viewer sees something at once."""

    type: Literal["task.accepted"] = "task.accepted"

    edition: str
    school_level: str
    item: str
    versions: tuple[VersionPlan, ...] = Field(strict=False)
    limit: Limit
    accepted_at: Instant
    start_deadline: Instant
    end_deadline: Instant


class TaskStarted(TaskEvent):
    """A worker begins a new attempt; `kept` versions were settled by an earlier one and stay."""

    type: Literal["task.started"] = "task.started"

    kept: tuple[int, ...] = Field(default=(), strict=False)


class TaskWaiting(TaskEvent):
    """Work is held up for a known reason; `until` is the earliest time at which it goes on, when that is known."""

    type: Literal["task.waiting"] = "task.waiting"

    reason: Reason = Field(strict=False)
    until: Instant | None = None
    version: int | None = None


class VersionPhase(TaskEvent):
    """A version enters a phase."""

    type: Literal["version.phase"] = "version.phase"

    version: int
    phase: Phase = Field(strict=False)


class VersionDelta(TaskEvent):
    """New text at the end of a version; `offset` is its length so far in Unicode code points."""

    type: Literal["version.delta"] = "version.delta"

    version: int
    offset: int = Field(ge=0)
    text: str = Field(repr=False)


class VersionReplaced(TaskEvent):
    """The whole text of a version, in place of what was there: after a rewrite, a fit, or a draft begun again."""

    type: Literal["version.replaced"] = "version.replaced"

    version: int
    text: str = Field(repr=False)


class VersionCompleted(TaskEvent):
    """A version is done, checked and fitted."""

    type: Literal["version.completed"] = "version.completed"

    version: int
    text: str = Field(repr=False)
    characters: int
    bytes: int
    findings: tuple[Finding, ...] = Field(default=(), strict=False, repr=False)
    usage: Usage = Usage()


class VersionFailed(TaskEvent):
    """A version could not be written; `text` is what could be kept of it."""

    type: Literal["version.failed"] = "version.failed"

    version: int
    reason: Reason = Field(strict=False)
    text: str = Field(default="", repr=False)
    findings: tuple[Finding, ...] = Field(default=(), strict=False, repr=False)
    usage: Usage = Usage()


class TaskCancelling(TaskEvent):
    """The worker has seen the cancellation and stops its calls."""

    type: Literal["task.cancelling"] = "task.cancelling"


class TerminalEvent(TaskEvent):
    """The end of a task. The first one in the log is the one; nothing after it exists."""

    terminal: ClassVar[bool] = True

    versions: tuple[VersionOutcome, ...] = Field(default=(), strict=False)
    usage: Usage = Usage()
    ended_at: Instant


class TaskSucceeded(TerminalEvent):
    """At least one version is completed; `degraded` when not all are."""

    type: Literal["task.succeeded"] = "task.succeeded"

    degraded: bool = False


class TaskFailed(TerminalEvent):
    """No version could be completed."""

    type: Literal["task.failed"] = "task.failed"

    reason: Reason = Field(strict=False)


class TaskCancelled(TerminalEvent):
    """Stopped on request; versions completed before that are kept."""

    type: Literal["task.cancelled"] = "task.cancelled"

    started: bool


class TaskExpired(TerminalEvent):
    """A deadline passed; `started` says whether work ever began."""

    type: Literal["task.expired"] = "task.expired"

    started: bool


Event = (
    TaskAccepted
    | TaskStarted
    | TaskWaiting
    | VersionPhase
    | VersionDelta
    | VersionReplaced
    | VersionCompleted
    | VersionFailed
    | TaskCancelling
    | TaskSucceeded
    | TaskFailed
    | TaskCancelled
    | TaskExpired
)
Terminal = TaskSucceeded | TaskFailed | TaskCancelled | TaskExpired
TaggedEvent = Annotated[Event, Field(discriminator="type")]

EVENT_CLASSES: tuple[type[TaskEvent], ...] = get_args(Event)
EVENT_TYPES: dict[str, type[TaskEvent]] = {cls.model_fields["type"].default: cls for cls in EVENT_CLASSES}
TERMINAL_TYPES = frozenset(name for name, cls in EVENT_TYPES.items() if cls.terminal)
