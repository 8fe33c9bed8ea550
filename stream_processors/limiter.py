"""The limiter: how much of the model one process may use at once and in a minute. First come, first served."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from contracts.events import Reason

WINDOW_SECONDS = 60.0
PATIENCE_SECONDS = 1.0
LONGEST_HOLD_SECONDS = 600.0

Announce = Callable[[Reason, float | None], Awaitable[None]]
"""Told that a wait is longer than `PATIENCE_SECONDS`: why, and for how many seconds at least if that is known."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may use; None where there is no limit."""

    concurrent_call_count: int = 150
    calls_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(slots=True, eq=False)
class _Spent:
    """What was taken at a time."""

    at: float
    amount: int


class _Window:
    """A limit on what is taken within any minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: deque[_Spent] = deque()

    def ready_at(self, amount: int, now: float) -> float:
        """Return when there will be room; an amount over the whole limit waits for an empty window."""
        while self._entries and self._entries[0].at + WINDOW_SECONDS <= now:
            self._entries.popleft()
        room = self._limit - sum(entry.amount for entry in self._entries)
        wanted = min(amount, self._limit)
        at = now
        for entry in self._entries:
            if room >= wanted:
                break
            room += entry.amount
            at = entry.at + WINDOW_SECONDS
        return at

    def take(self, amount: int, now: float) -> _Spent:
        """Take an amount; what is returned may be corrected later."""
        spent = _Spent(now, amount)
        self._entries.append(spent)
        return spent


@dataclass(slots=True, eq=False)
class _Waiter:
    tokens: int
    granted: "asyncio.Future[Permit]"


class Permit:
    """The right to make one call now."""

    def __init__(self, limiter: "Limiter", tokens: _Spent | None) -> None:
        self._limiter = limiter
        self._tokens = tokens

    def spent(self, tokens: int) -> None:
        """Put the true number of tokens in place of the estimate."""
        if self._tokens is not None:
            self._tokens.amount = tokens

    def hold(self, seconds: float) -> None:
        """Let no call start for so long: the other side asked for it."""
        self._limiter.hold(seconds)


class Limiter:
    """One per process: calls at once, calls in any minute, tokens in any minute, and pauses that were asked for."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls = _Window(limits.calls_per_minute) if limits.calls_per_minute else None
        self._tokens = _Window(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._running_count = 0
        self._held_until = float("-inf")
        self._waiting: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running_count(self) -> int:
        """How many calls hold a permit."""
        return self._running_count

    @property
    def waiting_count(self) -> int:
        """How many calls wait for one."""
        return len(self._waiting)

    @asynccontextmanager
    async def permit(self, tokens: int, announce: Announce) -> AsyncIterator[Permit]:
        """Wait for the turn of a call of about that many tokens; cancelling the wait gives the turn to the next."""
        permit = await self._wait(tokens, announce)
        try:
            yield permit
        finally:
            self._release()

    def hold(self, seconds: float) -> None:
        """Let no call start for so long, at most ten minutes: then one asks again."""
        seconds = min(seconds, LONGEST_HOLD_SECONDS)
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    async def _wait(self, tokens: int, announce: Announce) -> Permit:
        waiter = _Waiter(tokens, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._grant()
        try:
            await self._wait_patiently(waiter, announce)
            return await waiter.granted
        except BaseException:
            self._leave(waiter)
            raise

    async def _wait_patiently(self, waiter: _Waiter, announce: Announce) -> None:
        """Wait in silence for a second, or not at all when it is known that this will not do; then say so."""
        if waiter.granted.done():
            return
        reason, seconds = self._outlook(waiter)
        if seconds is None or seconds <= PATIENCE_SECONDS:
            await asyncio.wait([waiter.granted], timeout=PATIENCE_SECONDS)
            reason, seconds = self._outlook(waiter)
        if not waiter.granted.done():
            await announce(reason, seconds)

    def _outlook(self, waiter: _Waiter) -> tuple[Reason, float | None]:
        """Tell why a call waits and for how many seconds at least; None when that depends on other calls."""
        now = asyncio.get_running_loop().time()
        if (at := self._ready_at(waiter.tokens, now)) > now:
            return Reason.RATE_LIMITED, at - now
        return Reason.OVERLOADED, None

    def _leave(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            self._grant()
        elif waiter.granted.done() and not waiter.granted.cancelled():
            self._release()

    def _release(self) -> None:
        self._running_count -= 1
        self._grant()

    def _grant(self) -> None:
        """Let the waiting calls go that may, in their order."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting and self._running_count < self._limits.concurrent_call_count:
            now = loop.time()
            if (at := self._ready_at(self._waiting[0].tokens, now)) > now:
                self._timer = loop.call_at(at, self._grant)
                return
            waiter = self._waiting.popleft()
            if not waiter.granted.done():
                waiter.granted.set_result(self._take(waiter.tokens, now))

    def _take(self, tokens: int, now: float) -> Permit:
        self._running_count += 1
        if self._calls is not None:
            self._calls.take(1, now)
        return Permit(self, self._tokens.take(tokens, now) if self._tokens is not None else None)

    def _ready_at(self, tokens: int, now: float) -> float:
        times = [now, self._held_until]
        if self._calls is not None:
            times.append(self._calls.ready_at(1, now))
        if self._tokens is not None:
            times.append(self._tokens.ready_at(tokens, now))
        return max(times)
