"""The record of `generation.results`: one for each task, made from its first terminal event. For analytics."""

from pydantic import Field

from contracts.commands import Instant, Limit
from contracts.cursor import Position
from contracts.events import Reason, Usage, VersionOutcome
from contracts.lifecycle import Stage, TaskState
from contracts.task import OwnerId, TaskId
from contracts.wire import Wire


class TaskResult(Wire):
    """What became of a task; `position` is the terminal event's place in the events topic (`PARTITION-OFFSET`)."""

    task_id: TaskId
    owner: OwnerId
    stage: Stage = Field(strict=False)
    degraded: bool
    reason: Reason | None = Field(default=None, strict=False)
    started: bool
    versions: tuple[VersionOutcome, ...] = Field(strict=False)
    usage: Usage
    edition: str = ""
    school_level: str = ""
    item: str = ""
    limit: Limit | None = None
    accepted_at: Instant | None = None
    ended_at: Instant | None = None
    position: str

    @classmethod
    def of(
        cls, state: TaskState, owner: OwnerId, outcomes: tuple[VersionOutcome, ...], position: Position
    ) -> "TaskResult":
        """Return the result of an ended task; `outcomes` are those of its first terminal event."""
        return cls(
            task_id=state.task_id,
            owner=owner,
            stage=state.stage,
            degraded=state.degraded,
            reason=state.reason,
            started=state.started,
            versions=outcomes,
            usage=state.usage,
            edition=state.edition,
            school_level=state.school_level,
            item=state.item,
            limit=state.limit,
            accepted_at=state.accepted_at,
            ended_at=state.ended_at,
            position=str(position),
        )
