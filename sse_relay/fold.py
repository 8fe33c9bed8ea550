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
_DATA = b"\ndata: "
_DELTA_TYPES = (int, int, str, int)
_HEAD_BYTES = 64


def fold_frames(state: TaskState, frames: Iterable[bytes]) -> TaskState:
    """Return the state after more frames of its log; a value that cannot be read changes nothing.

    Words that follow one another are joined first, because most of a log is words: the state is the same.
    """
    words = _Words(state)
    for frame in frames:
        if frame.find(_DELTA, 0, _HEAD_BYTES) > 0 and words.take(frame):
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
        self._versions: dict[int, _Run] = {}

    def take(self, frame: bytes) -> bool:
        """Take a delta in; False when it has to be read in full."""
        try:
            # A value of several lines is no JSON with `data:` between them, so it is read in full.
            delta = orjson.loads(frame[frame.index(_DATA) + len(_DATA) : -2])
            number, offset, text, sequence = delta["version"], delta["offset"], delta["text"], delta["sequence"]
            ours = delta["attempt"] == self._attempt and delta["task_id"] == self._task_id
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return False
        if not ours or (type(number), type(offset), type(text), type(sequence)) != _DELTA_TYPES:
            return False
        words = self._versions.get(number) or self._begin(number)
        if offset == words.length:
            words.length += len(text)
            words.parts.append(text)
            words.sequence = sequence
        return True

    def _begin(self, number: int) -> "_Run":
        version = self._state.version(number)
        words = self._versions[number] = _Run(-1 if version.settled else len(version.text))
        return words

    def flush(self, state: TaskState) -> TaskState:
        """Return the state with all words in it."""
        grown = [(number, words) for number, words in self._versions.items() if words.parts]
        for number, words in sorted(grown, key=lambda item: item[1].sequence):
            text = "".join(words.parts)
            joined = VersionDelta(
                task_id=self._task_id,
                attempt=state.progress.attempt,
                sequence=words.sequence,
                version=number,
                offset=words.length - len(text),
                text=text,
            )
            state = reduce(state, joined)
        return state


class _Run:
    """The words of one version that follow one another. `length`: of its text with them; -1 when it takes none."""

    __slots__ = ("length", "parts", "sequence")

    def __init__(self, length: int) -> None:
        self.length = length
        self.parts: list[str] = []
        self.sequence = -1


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
