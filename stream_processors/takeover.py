"""Takeover: what a partition's log tells its new owner before work on it starts.

Headers decide nearly everything; of the values only those of settled versions and of phases are read, because nothing
else of a task is needed to go on with it. What is kept is bounded by the tasks that were running, plus one id for each
that ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from contracts.attempt import OUTSIDE, Attempt
from contracts.codec import RecordHeader, decode_event_value, read_header, task_id_of
from contracts.errors import RecordError
from contracts.events import Event, Phase, TaskCancelling, TaskStarted, VersionCompleted, VersionFailed, VersionPhase
from contracts.lifecycle import TaskState, Verdict, judge, reduce
from stream_processors.dispatcher import History, Known


def _name(event: type) -> str:
    return str(event.model_fields["type"].default)  # type: ignore[attr-defined]  # all events are pydantic models


_PHASE = _name(VersionPhase)
_WITH_VALUE = frozenset(map(_name, (TaskStarted, VersionCompleted, VersionFailed, TaskCancelling)))


class PartitionFold:
    """Folds the events of one partition, in log order, into its history; `known` is what was folded of it before."""

    def __init__(self, known: Mapping[bytes, Known] | None = None) -> None:
        self._known: dict[bytes, Known] = dict(known or {})
        self._ended: set[bytes] = set()
        self.unreadable_count = 0

    def add(self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> None:
        """Take the next record in; one that cannot be read is counted and changes nothing."""
        if key is None or key in self._ended:
            return
        try:
            header = read_header(headers)
            if header.terminal:
                self._ended.add(key)
                self._known.pop(key, None)
            elif header.attempt > OUTSIDE:
                self._known[key] = self._reduced(key, value, header)
        except RecordError:
            self.unreadable_count += 1

    def history(self) -> History:
        """Return what has been folded."""
        return History(self._known, frozenset(self._ended))

    def known(self, key: bytes) -> Known:
        """Return what has been folded of a task that has not ended."""
        return self._known.get(key) or Known(TaskState(task_id_of(key)))

    def has_ended(self, key: bytes) -> bool:
        """Whether a task's terminal event has been folded."""
        return key in self._ended

    def _reduced(self, key: bytes, value: bytes | None, header: RecordHeader) -> Known:
        known = self.known(key)
        state = known.state
        progress, verdict = judge(state.progress, header.attempt, header.sequence, terminal=False)
        if verdict is Verdict.APPLY and header.type in _WITH_VALUE:
            state = reduce(state, decode_event_value(header.type, value))
        draft_counts = known.draft_counts
        if header.type == _PHASE and verdict is not Verdict.DUPLICATE:  # a zombie's call has been paid for as well
            draft_counts = count_draft(draft_counts, decode_event_value(header.type, value))
        return Known(
            replace(state, progress=progress),
            known.attempt_count + (header.attempt > known.highest),
            max(known.highest, header.attempt),
            draft_counts,
        )


def count_draft(draft_counts: Mapping[int, int], event: Event) -> Mapping[int, int]:
    """Return how often the drafting of each version has begun, with one more event."""
    if not isinstance(event, VersionPhase) or event.phase is not Phase.DRAFTING:
        return draft_counts
    return {**draft_counts, event.version: draft_counts.get(event.version, 0) + 1}


def next_attempt(generation: int, boot_ms: int, highest: Attempt) -> Attempt:
    """Return the name of a new attempt: greater than every one in the task's log, even if a clock went back."""
    return max(Attempt(generation, boot_ms), Attempt(highest.generation, highest.boot_ms + 1))
