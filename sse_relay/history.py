"""History: how many bytes of logs are kept, and which go first.

Overflow policy, in this order, each oldest first: finished tasks keep only their snapshot; finished tasks go; running
tasks lose their oldest frames, which are folded before. What goes can be read again from Kafka, or is told as a gap.
"""

from collections.abc import Callable

from sse_relay.log import TaskLog
from sse_relay.tally import Tally

_RUNNING_KEEP_COUNT = 64
Forget = Callable[[TaskLog], None]


class History:
    """The byte budget over all logs."""

    def __init__(self, max_bytes: int, max_task_bytes: int, tally: Tally, *, evict: Forget, lose: Forget) -> None:
        self._max_bytes = max_bytes
        self._max_task_bytes = max_task_bytes
        self._tally = tally
        self._evict = evict
        self._lose = lose
        self._running: dict[TaskLog, None] = {}
        self._finished: dict[TaskLog, None] = {}
        self._sealed: dict[TaskLog, None] = {}
        self.size_bytes = 0

    @property
    def task_counts(self) -> dict[str, int]:
        """Tasks by how they are kept."""
        return {"running": len(self._running), "finished": len(self._finished), "sealed": len(self._sealed)}

    def add(self, log: TaskLog) -> None:
        """Count a log in."""
        (self._finished if log.ended else self._running)[log] = None
        self.size_bytes += log.size_bytes

    def grow(self, log: TaskLog, added_bytes: int) -> None:
        """Count what a log has grown by; a task that is too large by itself loses its older half."""
        self.size_bytes += added_bytes
        if log.end is not None and log in self._running:
            del self._running[log]
            self._finished[log] = None
        if log.size_bytes > self._max_task_bytes and len(log.frames) > 1:
            self._trim(log, len(log.frames) // 2)

    def remove(self, log: TaskLog) -> None:
        """Count a log out."""
        for kept in (self._running, self._finished, self._sealed):
            if kept.pop(log, self) is None:
                self.size_bytes -= log.size_bytes

    def fit(self) -> None:
        """Bring the logs back under the budget, if that can be done."""
        while self.size_bytes > self._max_bytes and self._finished:
            self._seal(next(iter(self._finished)))
        while self.size_bytes > self._max_bytes and self._sealed:
            self._evict(next(iter(self._sealed)))
        if self.size_bytes > self._max_bytes:
            self._trim_running()

    def _seal(self, log: TaskLog) -> None:
        del self._finished[log]
        self._sealed[log] = None
        self.size_bytes -= log.seal()
        self._lose(log)
        self._tally.sealed_count += 1

    def _trim_running(self) -> None:
        for log in self._running:
            self._trim(log, _RUNNING_KEEP_COUNT)
            if self.size_bytes <= self._max_bytes:
                return

    def _trim(self, log: TaskLog, keep_count: int) -> None:
        if freed := log.trim(keep_count):
            self.size_bytes -= freed
            self._lose(log)
            self._tally.trimmed_count += 1
