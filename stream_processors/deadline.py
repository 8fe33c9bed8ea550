"""A deadline: one moment that several steps share, on the event loop's clock, which never steps back."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from stream_processors.clock import Clock


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the running event loop's clock, in its seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that many seconds from now."""
        return cls(asyncio.get_running_loop().time() + seconds)

    @classmethod
    def until(cls, moment: datetime, clock: Clock) -> "Deadline":
        """Return the deadline at a point in time, taken once: a wall clock that jumps later does not move it."""
        return cls.after((moment - clock.now()).total_seconds())

    def remaining_seconds(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    def passed(self) -> bool:
        """Tell whether nothing is left."""
        return self.remaining_seconds() == 0.0

    def within(self, seconds: float) -> "Deadline":
        """Return the earlier one of this deadline and that many seconds from now."""
        return Deadline(min(self.at, Deadline.after(seconds).at))
