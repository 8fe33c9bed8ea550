"""The log of one task in memory: its frames, encoded once, with the offsets they were read at."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from contracts.cursor import Cursor, Position
from contracts.lifecycle import Progress, TaskState, Verdict, judge
from contracts.snapshot import encode_snapshot
from contracts.task import OwnerId, TaskId
from sse_relay.fold import event_of, fold_ended, fold_frames, is_overdue
from sse_relay.frame import encode_frame, type_of, value_of
from sse_relay.record import Kind

if TYPE_CHECKING:
    from sse_relay.subscriber import TaskSubscriber

FRAME_OVERHEAD_BYTES = 57
"""What a frame takes besides its text: the bytes object, its place in the list and its offset."""
LOG_OVERHEAD_BYTES = 900
APPLY = Verdict.APPLY
"""Looked up once: to ask an enumeration for a member costs as much as framing a record."""


class TaskLog:
    """One task's records, less those that the lifecycle's judge ignores.

    Subscribers hold a position in it. A finished one can be sealed: its frames go, snapshot and end stay.
    """

    __slots__ = (
        "_folded",
        "_judged",
        "_sealed",
        "_sequence",
        "_snapshot",
        "_state",
        "end",
        "first",
        "frames",
        "last",
        "live",
        "lost",
        "offsets",
        "owner",
        "partition",
        "size_bytes",
        "spoke",
        "task_id",
        "touched",
        "unsent",
        "whole",
    )

    def __init__(self, task_id: TaskId, owner: OwnerId, partition: int) -> None:
        self.task_id = task_id
        self.owner = owner
        self.partition = partition
        self.frames: list[bytes] = []
        self.offsets = array("q")
        self._judged = Progress()
        """The progress when the judge was last asked."""
        self._sequence = self._judged.sequence
        """The sequence now: further on by the records that simply followed one another."""
        self.first = -1
        """Offset of the oldest record that counts, whether or not its frame is still here."""
        self.last = -1
        """Offset of the newest record that counts."""
        self.lost = -1
        """Offset of the newest record whose frame has been dropped."""
        self.end: int | None = None
        """Offset of the terminal event."""
        self.whole = False
        """Whether `first` is the task's very first record."""
        self.size_bytes = LOG_OVERHEAD_BYTES
        self.live: set[TaskSubscriber] = set()
        self.unsent = 0
        """Index of the first frame of the batch that is being taken in."""
        self.spoke = 0.0
        """When the live subscribers last heard something (monotonic seconds)."""
        self.touched = 0.0
        """When its last record came in (monotonic seconds)."""
        self._state: TaskState | None = TaskState(task_id)
        self._folded = 0
        self._snapshot: tuple[int, bool, bytes] | None = None
        self._sealed = False

    def append(self, offset: int, kind: Kind, sequence: int, value: bytes) -> Verdict:
        """Judge a record by its headers and keep its frame if it counts."""
        verdict = self._judge(kind, sequence)
        if verdict is not APPLY:
            return verdict
        cursor = b"%d-%d" % (self.partition, offset)
        if kind.terminal:
            cursor += b"-end"
            self.end = offset
        frame = encode_frame(kind.event_type, value, cursor)
        if self.last < 0:
            self.first = offset
            self.whole = kind.event_type == b"task.accepted"
        self.frames.append(frame)
        self.offsets.append(offset)
        self.last = offset
        self.size_bytes += len(frame) + FRAME_OVERHEAD_BYTES
        return verdict

    @property
    def progress(self) -> Progress:
        """How far the log has been judged."""
        if self._judged.sequence != self._sequence:
            self._judged = replace(self._judged, sequence=self._sequence)
        return self._judged

    def _judge(self, kind: Kind, sequence: int) -> Verdict:
        """Ask the judge, unless it is plain: the next record of the attempt that is under way always counts."""
        judged = self._judged
        if sequence == self._sequence + 1 and kind.attempt == judged.attempt and not (judged.ended or kind.terminal):
            self._sequence = sequence
            return APPLY
        self._judged, verdict = judge(self.progress, kind.attempt, sequence, terminal=kind.terminal)
        self._sequence = self._judged.sequence
        return verdict

    def extend(self, newer: "TaskLog", next_offset: int) -> None:
        """Append what another log of the task has from an offset on, judged anew."""
        for offset, frame in newer.frames_after(next_offset - 1):
            if (event := event_of(frame, self.task_id)) is not None:
                kind = Kind(type_of(frame), event.terminal, event.attempt)
                self.append(offset, kind, event.sequence, value_of(frame))

    @property
    def ended(self) -> bool:
        """Whether the terminal event is in."""
        return self.end is not None

    @property
    def sealed(self) -> bool:
        """Whether only the snapshot is left."""
        return self._sealed

    @property
    def cursor(self) -> Cursor:
        """The cursor of the newest record."""
        return Cursor(Position(self.partition, self.last), end=self.ended)

    def holds(self, offset: int) -> bool:
        """Tell whether a record that counts was read at this offset and is still here."""
        index = bisect_left(self.offsets, offset)
        return index < len(self.offsets) and self.offsets[index] == offset

    def chunk_after(self, offset: int, max_bytes: int) -> tuple[Sequence[bytes], int]:
        """Return frames behind an offset, `max_bytes` at most or one, and the offset that they lead to."""
        start = bisect_right(self.offsets, offset)
        if start == len(self.frames):
            return (), offset
        likely_count = max(1, max_bytes * len(self.frames) // self.size_bytes)  # with their overhead: rather too few
        frames = self.frames[start : start + likely_count]
        if sum(map(len, frames)) > max_bytes:
            del frames[max(1, bisect_right(list(accumulate(map(len, frames))), max_bytes)) :]
        return frames, self.offsets[start + len(frames) - 1]

    def frames_after(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield offset and frame of each record behind an offset."""
        for index in range(bisect_right(self.offsets, offset), len(self.frames)):
            yield self.offsets[index], self.frames[index]

    def snapshot(self) -> bytes:
        """Return the snapshot's JSON, valid for `cursor`."""
        if self._sealed and self._snapshot:
            return self._snapshot[2]
        state = self._fold()
        overdue = is_overdue(state)
        if self._snapshot is None or self._snapshot[:2] != (self.last, overdue):
            # A copy, because the encoder's own bytes keep all the room that they were written in.
            content = bytes(memoryview(encode_snapshot(state, self.cursor, overdue=overdue)))
            self._snapshot = (self.last, overdue, content)
        return self._snapshot[2]

    def cool(self) -> None:
        """Forget what can be folded again: nobody has asked for a while."""
        if not self._sealed:
            self._snapshot = None
            if self.lost < 0:
                self._state, self._folded = TaskState(self.task_id), 0

    def trim(self, keep_count: int) -> int:
        """Drop all but the newest frames, after folding them; return the bytes that this frees."""
        drop_count = len(self.frames) - keep_count
        if drop_count <= 0:
            return 0
        self._fold()
        freed = sum(map(len, self.frames[:drop_count])) + drop_count * FRAME_OVERHEAD_BYTES
        self.lost = self.offsets[drop_count - 1]
        del self.frames[:drop_count], self.offsets[:drop_count]
        self._folded -= drop_count
        self.unsent = max(0, self.unsent - drop_count)
        self.size_bytes -= freed
        return freed

    def seal(self) -> int:
        """Keep only the snapshot of a finished task; return the bytes that this frees."""
        snapshot = self.snapshot()
        freed = self.trim(0) - len(snapshot)
        self.size_bytes += len(snapshot)
        self._state, self._sealed = None, True
        return freed

    def _fold(self) -> TaskState:
        assert self._state is not None, "a sealed log answers from its snapshot"
        rest = self.frames[self._folded :]
        if rest:
            state = fold_ended(self._state, rest, self.progress) if self.ended else fold_frames(self._state, rest)
            self._state = replace(state, progress=self.progress)
            self._folded = len(self.frames)
        return self._state
