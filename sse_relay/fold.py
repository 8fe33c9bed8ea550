"""The folded state of one task: what a snapshot tells, brought up to date only when somebody asks."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from contracts.codec import decode_event_value
from contracts.errors import RecordError
from contracts.events import Event, TerminalEvent
from contracts.lifecycle import Progress, TaskState, reduce
from contracts.task import TaskId
from sse_relay.frame import type_of, value_of


def fold_frames(state: TaskState, frames: Iterable[bytes]) -> TaskState:
    """Return the state after more frames of its log; a value that cannot be read changes nothing."""
    for frame in frames:
        if (event := event_of(frame, state.task_id)) is not None:
            state = reduce(state, event)
    return state


def fold_ended(state: TaskState, frames: Sequence[bytes], progress: Progress) -> TaskState:
    """Return what `fold_frames` would say of a task whose last frame is its end, without reading every word of it.

    A terminal event is enough by itself for all versions that it names; only one that names none needs the rest.
    """
    last = event_of(frames[-1], state.task_id) if frames else None
    if not isinstance(last, TerminalEvent) or not last.versions:
        return replace(fold_frames(state, frames), progress=progress)
    ruling = [frame for frame in frames if type_of(frame).startswith(b"task.")]
    return replace(fold_frames(state, ruling), progress=progress)


def is_overdue(state: TaskState, now: datetime | None = None) -> bool:
    """Tell whether a task that should have started, or ended, has not."""
    deadline = state.end_deadline if state.started else state.start_deadline
    return not state.ended and deadline is not None and (now or datetime.now(UTC)) > deadline


def event_of(frame: bytes, task_id: TaskId) -> Event | None:
    """Return the event in a frame, or None when its value cannot be read."""
    try:
        event = decode_event_value(type_of(frame).decode("ascii"), value_of(frame))
    except RecordError:
        return None
    return event if event.task_id == task_id else None
