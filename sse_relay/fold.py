"""The folded state of one task: what a snapshot tells, brought up to date only when somebody asks."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from contracts.codec import decode_event_value
from contracts.errors import RecordError
from contracts.events import Event, TerminalEvent, VersionDelta
from contracts.lifecycle import Progress, TaskState, reduce
from contracts.task import TaskId
from sse_relay.frame import type_of, value_of

_DELTA = b"\nevent: version.delta\n"
_HEAD_BYTES = 64


def fold_frames(state: TaskState, frames: Iterable[bytes]) -> TaskState:
    """Return the state after more frames of its log; a value that cannot be read changes nothing.

    Words that follow one another are joined first, because most of a log is words: the state is the same.
    """
    words = _Words(state)
    for frame in frames:
        if _DELTA in frame[:_HEAD_BYTES] and words.take(frame):
            continue
        state = words.flush(state)
        if (event := event_of(frame, state.task_id)) is not None:
            state = reduce(state, event)
        words = _Words(state)
    return words.flush(state)


class _Words:
    """Deltas of the current attempt that can be joined, by version."""

    def __init__(self, state: TaskState) -> None:
        self._task_id = state.task_id
        self._attempt = str(state.progress.attempt)
        self._state = state
        self._length: dict[int, int] = {}
        self._parts: dict[int, list[str]] = {}
        self._sequence: dict[int, int] = {}

    def take(self, frame: bytes) -> bool:
        """Take a delta in; False when it has to be read in full."""
        try:
            delta = orjson.loads(value_of(frame))
            number, offset, text, sequence = delta["version"], delta["offset"], delta["text"], delta["sequence"]
            ours = delta["attempt"] == self._attempt and delta["task_id"] == self._task_id
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return False
        if not ours or type(number) is not int or type(offset) is not int or type(sequence) is not int:
            return False
        if type(text) is not str:
            return False
        if number not in self._length:
            version = self._state.version(number)
            self._length[number] = -1 if version.settled else len(version.text)
        if offset == self._length[number]:
            self._length[number] += len(text)
            self._parts.setdefault(number, []).append(text)
            self._sequence[number] = sequence
        return True

    def flush(self, state: TaskState) -> TaskState:
        """Return the state with all words in it."""
        for number in sorted(self._parts, key=self._sequence.__getitem__):
            text = "".join(self._parts[number])
            joined = VersionDelta(
                task_id=self._task_id,
                attempt=state.progress.attempt,
                sequence=self._sequence[number],
                version=number,
                offset=self._length[number] - len(text),
                text=text,
            )
            state = reduce(state, joined)
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
