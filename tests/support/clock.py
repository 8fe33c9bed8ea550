"""An event loop whose time passes only when nothing else can happen: waits end at once, in their order.

A wait that nothing would ever end raises in the test, in place of hanging it. Files and sockets are not for this loop.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)

P = ParamSpec("P")


class NothingWillHappen(AssertionError):
    """Every task waits, and no timer is set."""


class _TimelessSelector(selectors.SelectSelector):
    """Never waits: it moves the loop's time on in place of that."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingWillHappen("every task waits, and no timer is set")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that begins at 0 seconds and jumps from timer to timer."""

    def __init__(self) -> None:
        self._timeless = _TimelessSelector()
        super().__init__(self._timeless)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._timeless.now


class VirtualClock:
    """A wall clock that shows the running loop's time after a midnight."""

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=asyncio.get_running_loop().time())


def at(seconds: float) -> datetime:
    """Return the point in time that many seconds after the loop began."""
    return MIDNIGHT + timedelta(seconds=seconds)


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test on a loop of its own in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
