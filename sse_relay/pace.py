"""The pace of reading: at once while there is little to do, in batches while there is more.

A fetch has a price of its own, and so has a batch: a wake-up of the loop and one write for each viewer. From a few
hundred records a second on that is most of what a record costs, so then the broker is asked to gather for 2 ms. With
fewer, every record is fetched as it comes, and an idle fetch waits for two seconds. To begin with, everything is read
as fast as it can be, until the client says that it is at the end.
"""

from typing import NamedTuple

_WINDOW_SECONDS = 0.25
_BUSY_RATE = 300
_QUIET_RATE = 120
_CALM_WINDOWS = 20


class Fetching(NamedTuple):
    """How the broker is asked: it answers when it has so many bytes, or after so long."""

    min_bytes: int
    wait_ms: int
    tells_end: bool = False
    """Whether the client says when a partition has nothing more; that wakes the thread once more for each record."""


CATCH_UP = Fetching(1, 20, tells_end=True)
QUIET = Fetching(1, 2000)
BUSY = Fetching(1_000_000, 2)


class Pace:
    """Watches how many records come in, and decides how to fetch."""

    def __init__(self) -> None:
        self.fetching = CATCH_UP
        self._count = 0
        self._since = 0.0
        self._calm_count = 0

    def reach_end(self) -> None:
        """Say that everything has been read that was there at the start."""
        if self.fetching is CATCH_UP:
            self.fetching = QUIET

    def count(self, record_count: int, now: float) -> None:
        """Take note of a batch, or of none."""
        if self.fetching is CATCH_UP:
            self._since = now
            return
        self._count += record_count
        elapsed = now - self._since
        if elapsed >= _WINDOW_SECONDS:
            self._choose(self._count / elapsed)
            self._count, self._since = 0, now

    def _choose(self, rate: float) -> None:
        """Be busy at once, and quiet again only after a while: each change costs a few milliseconds."""
        self._calm_count = self._calm_count + 1 if rate < _QUIET_RATE else 0
        if rate > _BUSY_RATE:
            self.fetching = BUSY
        elif self._calm_count >= _CALM_WINDOWS:
            self.fetching = QUIET
