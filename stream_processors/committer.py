"""The committer: how far each partition of the requests may be committed, and who held the partition last.

The committed offset is a **low watermark**: every request below it has ended, and its terminal event is acknowledged.
Beside the offset the broker keeps a **mark**: who owns the partition, whether it was handed over in peace, and how many
crashes its oldest requests have seen. So the next owner can tell a hand-over from a crash, and an owner can tell after
a rebalance that nobody else has had its partition meanwhile.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

HELD = "held"
HANDED_OVER = "handed-over"
_MARK = re.compile(rf"\S+ ({HELD}|{HANDED_OVER}) (\d{{1,6}})", re.ASCII)


class Commit(NamedTuple):
    """What the broker keeps of one partition."""

    offset: int
    mark: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found at the broker when a partition was assigned; no commit if nobody ever made one."""

    commit: Commit | None
    beginning: int
    end: int

    @property
    def offset(self) -> int:
        """Where work begins: the committed offset, or the oldest record there still is."""
        return max(self.beginning, self.commit.offset if self.commit else 0)

    @property
    def crash_count(self) -> int:
        """How many crashes the oldest requests have seen, the last owner's end included.

        A hand-over in peace counts nothing and forgives nothing: a worker that is restarted after each crash would
        otherwise never get past the first. A mark that is not ours is nobody's crash.
        """
        if self.commit is None or (mark := _MARK.fullmatch(self.commit.mark)) is None:
            return 0
        return int(mark[2]) + (mark[1] == HELD)


class Ledger:
    """One partition, as long as this worker holds it: what was taken up, and what of it has not ended yet."""

    __slots__ = ("_crash_count", "_open", "_possible", "_probation_end", "confirmed", "next_offset")

    def __init__(self, standing: Standing) -> None:
        self.next_offset = standing.offset
        self._crash_count = standing.crash_count
        self._probation_end = standing.end
        self.confirmed: Commit | None = None
        self._open: set[int] = set()
        self._possible: set[Commit | None] = {standing.commit}

    @property
    def low_watermark(self) -> int:
        """The offset that may be committed: everything below it has ended."""
        return min(self._open, default=self.next_offset)

    @property
    def open_count(self) -> int:
        """How many requests were taken up and have not ended."""
        return len(self._open)

    def take(self, offset: int) -> bool:
        """Take up the request at an offset, in order; False when it was taken up before."""
        if offset < self.next_offset:
            return False
        self._open.add(offset)
        self.next_offset = offset + 1
        return True

    def acknowledge(self, offset: int) -> None:
        """Note that the request at an offset has ended."""
        self._open.discard(offset)

    def crash_count(self, offset: int) -> int:
        """How many crashes the request at an offset may have caused: it was there when the last one happened."""
        return self._crash_count if self.on_probation(offset) else 0

    def on_probation(self, offset: int) -> bool:
        """Whether somebody else may have begun the request at an offset before this worker got the partition."""
        return offset < self._probation_end

    def end_probation(self, offset: int) -> None:
        """Note that requests from an offset on cannot have been running when the last crash happened."""
        self._probation_end = min(self._probation_end, offset)

    def commit(self, owner: str, *, handing_over: bool) -> Commit:
        """Return what the broker should hold; crashes are forgotten when all that may have caused them has ended."""
        if self.low_watermark >= self._probation_end:
            self._crash_count = 0
        return Commit(self.low_watermark, f"{owner} {HANDED_OVER if handing_over else HELD} {self._crash_count}")

    def sending(self, commit: Commit) -> None:
        """Note a commit on its way: until it is confirmed, the broker may hold it or what it held before."""
        self._possible.add(commit)

    def confirm(self, commit: Commit) -> None:
        """Note that the broker holds a commit."""
        self.confirmed = commit
        self._possible = {commit}

    def recognises(self, commit: Commit | None) -> bool:
        """Whether a commit found at the broker is this ledger's own, so that nobody else has had the partition."""
        return commit in self._possible


class Committer:
    """The ledgers of all partitions that this worker holds."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._ledgers: dict[int, Ledger] = {}
        self.handing_over = False
        self.failure_count = 0

    def assign(self, standings: Mapping[int, Standing]) -> dict[int, bool]:
        """Take an assignment over; return for each partition whether it stayed here without a break.

        The ledgers of partitions that left, or that somebody else has had meanwhile, are dropped.
        """
        stayed = {}
        ledgers = {}
        for partition, standing in standings.items():
            ledger = self._ledgers.get(partition)
            stayed[partition] = ledger is not None and ledger.recognises(standing.commit)
            ledgers[partition] = ledger if ledger is not None and stayed[partition] else Ledger(standing)
        self._ledgers = ledgers
        return stayed

    def ledger(self, partition: int) -> Ledger:
        """Return the ledger of a partition that is held here."""
        return self._ledgers[partition]

    def positions(self) -> dict[int, int]:
        """Return where each partition goes on: the next request to take up."""
        return {partition: ledger.next_offset for partition, ledger in self._ledgers.items()}

    def due(self, partitions: Iterable[int]) -> dict[int, Commit]:
        """Return the commits that the broker does not hold yet, of those of the given partitions that are held here."""
        due = {}
        for partition in partitions:
            if (ledger := self._ledgers.get(partition)) is None:
                continue
            commit = ledger.commit(self._owner, handing_over=self.handing_over)
            if commit != ledger.confirmed:
                ledger.sending(commit)
                due[partition] = commit
        return due

    def confirm(self, commits: Mapping[int, Commit]) -> None:
        """Note that the broker holds these commits."""
        self.failure_count = 0
        for partition, commit in commits.items():
            if (ledger := self._ledgers.get(partition)) is not None:
                ledger.confirm(commit)

    def repeat(self) -> None:
        """Make all commits due again, to hear whether the broker still takes them from this worker."""
        for ledger in self._ledgers.values():
            ledger.confirmed = None

    def fail(self) -> None:
        """Note that a commit failed; the same is due again with the next one."""
        self.failure_count += 1
