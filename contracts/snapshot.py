"""Snapshots: the state of a task as one line of JSON, together with the cursor that it is valid for."""

from typing import Any

import orjson
from pydantic import BaseModel

from contracts.cursor import Cursor
from contracts.lifecycle import TaskState


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
