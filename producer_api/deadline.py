"""One deadline, shared by all steps of a request."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time of the running loop's clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that is `seconds` away."""
        return cls(asyncio.get_running_loop().time() + seconds)

    def limit(self) -> asyncio.Timeout:
        """Return a context that raises TimeoutError at the deadline."""
        return asyncio.timeout_at(self.at)
