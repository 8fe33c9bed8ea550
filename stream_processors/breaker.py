"""The circuit breaker: after a key or a quota was refused, no call is made for a while; then one tries."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from contracts.events import Reason
from stream_processors.errors import ModelError

TRIPPING = frozenset({Reason.UNAUTHORISED, Reason.QUOTA_EXHAUSTED})


class Breaker:
    """One per process. Closed: calls go through. Open: they fail at once with the reason that opened it.

    After `open_seconds` the next call is let through as a probe, one at a time. A good answer closes the breaker, the
    same refusal opens it again; any other failure, or a probe that was cancelled, leaves the next call to probe.
    """

    def __init__(self, *, open_seconds: float = 30.0) -> None:
        self._open_seconds = open_seconds
        self._reason: Reason | None = None
        self._open_until = 0.0
        self._probing = False

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Guard one call; raise ModelError instead of making it while the breaker is open."""
        is_probe = self._admit()
        try:
            yield
        except ModelError as error:
            if error.reason in TRIPPING:
                self._open(error.reason)
            raise
        else:
            if is_probe:
                self._reason = None
        finally:
            if is_probe:
                self._probing = False

    def _admit(self) -> bool:
        """Let a call through and tell whether it is the probe, or raise."""
        if self._reason is None:
            return False
        if self._probing or asyncio.get_running_loop().time() < self._open_until:
            raise ModelError(self._reason, "circuit open")
        self._probing = True
        return True

    def _open(self, reason: Reason) -> None:
        self._reason = reason
        self._open_until = asyncio.get_running_loop().time() + self._open_seconds
