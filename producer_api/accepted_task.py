"""An accepted task: what was promised to its owner, and how a submission becomes one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from contracts.attempt import OUTSIDE
from contracts.codec import Origin, RequestHeader
from contracts.commands import GenerationRequest, Limit, VersionPlan
from contracts.cursor import Position
from contracts.events import TaskAccepted
from contracts.task import OwnerId, TaskId
from producer_api.errors import InvalidRequest
from producer_api.submission import Submission
from student_records.edition import Edition, load_edition
from student_records.errors import ItemNotOffered, UnknownSchoolYear, UnknownViewpoint
from student_records.limits import limit_for
from student_records.viewpoints import viewpoints_for

SOURCE = "producer_api"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a task may wait, and then run."""

    start_seconds: int
    run_seconds: int


@dataclass(frozen=True, slots=True)
class AcceptedTask:
    """What the answer to a submission is made of; the same for every repetition of it.

    `start` is the position of its `task.accepted`, `position` that of its request.
    """

    task_id: TaskId
    owner: OwnerId
    digest: bytes
    start: Position
    position: Position
    accepted_at: datetime
    start_deadline: datetime
    end_deadline: datetime
    limit: Limit
    versions: tuple[VersionPlan, ...]

    @classmethod
    def of(
        cls, request: GenerationRequest, owner: OwnerId, header: RequestHeader, position: Position
    ) -> "AcceptedTask":
        """Return the task of a request that is in the log at `position`."""
        return cls(
            task_id=request.task_id,
            owner=owner,
            digest=bytes.fromhex(header.digest),
            start=header.start,
            position=position,
            accepted_at=request.accepted_at,
            start_deadline=request.start_deadline,
            end_deadline=request.end_deadline,
            limit=_one_limit(request.limit),
            versions=_one_plan(request.versions),
        )


def plan_request(
    submission: Submission, task_id: TaskId, default_year: int, deadlines: Deadlines, now: datetime
) -> GenerationRequest:
    """Return the request of a submission; raise InvalidRequest when the rules of its school year do not fit it."""
    accepted_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    start_deadline = accepted_at + timedelta(seconds=deadlines.start_seconds)
    edition = _edition(submission.school_year or default_year)
    return GenerationRequest(
        task_id=task_id,
        edition=edition.id,
        school_level=submission.school_level,
        item=submission.item,
        notes=submission.notes,
        versions=_plans(submission, edition),
        limit=_limit(submission, edition),
        target_ratio=submission.target_ratio,
        accepted_at=accepted_at,
        start_deadline=start_deadline,
        end_deadline=start_deadline + timedelta(seconds=deadlines.run_seconds),
    )


def accepted_event(request: GenerationRequest) -> TaskAccepted:
    """Return the first event of a task: outside of any attempt, so that every attempt comes after it."""
    return TaskAccepted(
        task_id=request.task_id,
        attempt=OUTSIDE,
        sequence=0,
        edition=request.edition,
        school_level=request.school_level,
        item=request.item,
        versions=request.versions,
        limit=request.limit,
        accepted_at=request.accepted_at,
        start_deadline=request.start_deadline,
        end_deadline=request.end_deadline,
    )


def origin_of(owner: OwnerId, traceparent: str) -> Origin:
    """Return who writes, and for whom."""
    return Origin(owner, SOURCE, traceparent)


@lru_cache(maxsize=256)
def _one_limit(limit: Limit) -> Limit:
    """Return the same object for equal limits: hundreds of thousands of tasks are remembered, and few differ."""
    return limit


@lru_cache(maxsize=256)
def _one_plan(versions: tuple[VersionPlan, ...]) -> tuple[VersionPlan, ...]:
    """Return the same object for equal plans, as for limits."""
    return versions


def _edition(school_year: int) -> Edition:
    try:
        return load_edition(school_year)
    except UnknownSchoolYear as error:
        known = ", ".join(map(str, error.known))
        raise InvalidRequest("school_year", f"is not known; known are {known}") from None


def _limit(submission: Submission, edition: Edition) -> Limit:
    try:
        limit = limit_for(edition, submission.school_level, submission.item)
    except ItemNotOffered:
        raise InvalidRequest("item", "is not offered at this school level") from None
    return Limit(characters=limit.characters, bytes=limit.bytes)


def _plans(submission: Submission, edition: Edition) -> tuple[VersionPlan, ...]:
    try:
        viewpoints = viewpoints_for(edition, submission.item, submission.version_count)
    except UnknownViewpoint as error:
        raise InvalidRequest("version_count", f"must be at most {len(error.known)} for this item") from None
    return tuple(
        VersionPlan(version=number, viewpoint=viewpoint.id, title=viewpoint.title)
        for number, viewpoint in enumerate(viewpoints, 1)
    )
