"""A bounded record of every call, for checkers; it never holds a text."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

RUNNING = "running"
COMPLETED = "completed"
CUT_BY_CLIENT = "cut_by_client"


@dataclass(slots=True)
class CallRecord:
    """One call; times are seconds since the epoch, on one clock that never steps back."""

    ordinal: int
    api: str
    stream: bool
    started_at: float
    task_id: str | None = None
    version: str | None = None
    purpose: str | None = None
    attempt: str | None = None
    task_tag: str | None = None
    fault: str | None = None
    status: int | None = None
    outcome: str = RUNNING
    ended_at: float | None = None
    first_text_at: float | None = None
    chars_sent: int = 0
    deltas_sent: int = 0


class CallLog:
    """A ring of the newest calls; when it is full the oldest is dropped and counted."""

    def __init__(self, capacity_count: int) -> None:
        self._records: deque[CallRecord] = deque(maxlen=capacity_count)
        self._capacity_count = capacity_count
        self.total_count = 0
        self.dropped_count = 0
        self.running_count = 0
        self.peak_running_count = 0

    def open(self, record: CallRecord) -> CallRecord:
        """Add a call that has begun."""
        if len(self._records) == self._capacity_count:
            self.dropped_count += 1
        self._records.append(record)
        self.running_count += 1
        self.peak_running_count = max(self.peak_running_count, self.running_count)
        return record

    def next_ordinal(self) -> int:
        """Count one more call; the first is 1."""
        self.total_count += 1
        return self.total_count

    def close(self, record: CallRecord, outcome: str, ended_at: float) -> None:
        """Note how a call ended; only the first ending counts."""
        if record.outcome != RUNNING:
            return
        record.outcome = outcome
        record.ended_at = ended_at
        self.running_count -= 1

    def clear(self) -> None:
        """Forget the calls that have ended; ordinals go on."""
        running = [record for record in self._records if record.outcome == RUNNING]
        self._records.clear()
        self._records.extend(running)
        self.dropped_count = 0
        self.peak_running_count = self.running_count

    def page(self, after: int, limit: int, task_id: str | None) -> list[dict[str, Any]]:
        """Return up to `limit` calls whose ordinal is higher than `after`, oldest first."""
        found: list[dict[str, Any]] = []
        for record in self._records:
            if record.ordinal > after and (task_id is None or record.task_id == task_id):
                found.append(asdict(record))
                if len(found) == limit:
                    break
        return found
