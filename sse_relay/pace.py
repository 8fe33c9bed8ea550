"""The pace of reading: at once while there is little to do, in batches while there is much.

A fetch has a price of its own, and so has a batch: a wake-up of the loop and one write for each viewer. With many
records a second that is most of what a record costs, so then the broker is asked to gather for 5 ms, and the thread
gathers for up to 5 ms more. With few, every record is fetched as it comes, and an idle fetch waits for half a second.
To begin with, everything is read as fast as it can be, until the client says that it is at the end.
"""

from typing import NamedTuple

_WINDOW_SECONDS = 0.25
_MAX_PAUSE_SECONDS = 0.005
_PAUSE_SECONDS_PER_RATE = 1e-6
_BUSY_RATE = 2000
_QUIET_RATE = 1000
_CALM_WINDOWS = 20


class Fetching(NamedTuple):
    """How the broker is asked: it answers when it has so many bytes, or after so long."""

    min_bytes: int
    wait_ms: int
    tells_end: bool = False
    """Whether the client says when a partition has nothing more; that wakes the thread once more for each record."""


CATCH_UP = Fetching(1, 500, tells_end=True)
QUIET = Fetching(1, 500)
BUSY = Fetching(1_000_000, 5)


class Pace:
    """Watches how many records come in, and decides how to fetch and how long to let them gather."""

    def __init__(self) -> None:
        self.fetching = CATCH_UP
        self._rate = 0.0
        self._count = 0
        self._since = 0.0
        self._calm_count = 0

    def reach_end(self) -> None:
        """Say that everything has been read that was there at the start."""
        if self.fetching is CATCH_UP:
            self.fetching = QUIET

    def pause_seconds(self, count: int, now: float) -> float:
        """Take note of a batch, or of none, and return how long to wait after it."""
        if self.fetching is CATCH_UP:
            self._since = now
            return 0.0
        self._count += count
        elapsed = now - self._since
        if elapsed >= _WINDOW_SECONDS:
            self._rate = self._count / elapsed
            self._count, self._since = 0, now
            self._choose()
        return min(_MAX_PAUSE_SECONDS, self._rate * _PAUSE_SECONDS_PER_RATE)

    def _choose(self) -> None:
        """Be busy at once, and quiet again only after a while: each change costs a few milliseconds."""
        self._calm_count = self._calm_count + 1 if self._rate < _QUIET_RATE else 0
        if self._rate > _BUSY_RATE:
            self.fetching = BUSY
        elif self._calm_count >= _CALM_WINDOWS:
            self.fetching = QUIET
