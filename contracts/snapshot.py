"""Snapshots: the state of a task as one line of JSON, together with the cursor that it is valid for."""

from dataclasses import replace
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.attempt import AttemptField
from contracts.cursor import Cursor, parse_cursor
from contracts.errors import MalformedRecord
from contracts.lifecycle import Progress, TaskState


def encode_snapshot(state: TaskState, cursor: Cursor, **more: str | int | bool | None) -> bytes:
    """Return the snapshot's JSON: the task's fields, `attempt`, `sequence` and `cursor`, and `more` fields of a server.

    A client that continues from it reduces only events behind `cursor`.
    """
    return orjson.dumps(_fields(state, cursor) | more, default=_plain, option=orjson.OPT_UTC_Z)


def _fields(state: TaskState, cursor: Cursor) -> dict[str, Any]:
    hidden = {"progress"}
    fields = {name: getattr(state, name) for name in TaskState.__dataclass_fields__ if name not in hidden}
    return fields | {
        "ended": state.ended,
        "attempt": str(state.progress.attempt),
        "sequence": state.progress.sequence,
        "cursor": str(cursor),
    }


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"no JSON for {type(value).__name__}")


def decode_snapshot(data: bytes | str) -> tuple[TaskState, Cursor]:
    """Return the state and the cursor of a snapshot, ready to be reduced further; raise MalformedRecord."""
    try:
        state = _STATE.validate_json(data)
        place = _Place.model_validate_json(data)
    except ValidationError:
        raise MalformedRecord("value", "not a snapshot") from None
    progress = Progress(place.attempt, place.sequence, place.ended)
    return replace(state, progress=progress), parse_cursor(place.cursor)


class _Place(BaseModel):
    attempt: AttemptField
    sequence: int
    ended: bool
    cursor: str


_STATE: TypeAdapter[TaskState] = TypeAdapter(TaskState)
