"""Commands: what somebody wants, each with exactly one handler."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.task import TaskId
from contracts.wire import Wire

MAX_VERSION_COUNT = 6
MAX_NOTES_CHARACTERS = 20_000

Instant = Annotated[AwareDatetime, Field(strict=False)]
"""A point in time, RFC 3339 with an offset; we write UTC."""


class Limit(Wire):
    """How long a text may be: the field's own figures."""

    characters: int = Field(gt=0)
    bytes: int = Field(gt=0)


class VersionPlan(Wire):
    """One of the versions that are asked for: its number, from 1, and the viewpoint that it takes."""

    version: int = Field(ge=1, le=MAX_VERSION_COUNT)
    viewpoint: str = Field(max_length=64)
    title: str = Field(max_length=64)


class GenerationRequest(Wire):
    """Write the versions of one text from a teacher's notes."""

    task_id: TaskId
    edition: str = Field(max_length=32)
    school_level: str = Field(max_length=32)
    item: str = Field(max_length=32)
    notes: str = Field(max_length=MAX_NOTES_CHARACTERS, repr=False)
    versions: tuple[VersionPlan, ...] = Field(min_length=1, max_length=MAX_VERSION_COUNT, strict=False)
    limit: Limit
    target_ratio: float = Field(default=1.0, ge=0.5, le=1.0)
    accepted_at: Instant
    start_deadline: Instant
    end_deadline: Instant


class CancellationRequest(Wire):
    """Stop a task. Closing a stream never does; only this command does."""

    task_id: TaskId
    requested_at: Instant
