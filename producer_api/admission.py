"""Admission: a rate for each owner, and a gate that closes when a task would start too late."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from contracts.task import OwnerId
from producer_api.errors import QueueTooLong, TooManyRequests

_LONGEST_RETRY_SECONDS = 300


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class OwnerRates:
    """A token bucket for each owner. Beyond `owner_count` the longest idle owner is forgotten: their bucket is full."""

    def __init__(self, rate_per_second: float, burst_count: int, owner_count: int, now: Callable[[], float]) -> None:
        self._rate = rate_per_second
        self._burst = burst_count
        self._owner_count = owner_count
        self._now = now
        self._buckets: OrderedDict[OwnerId, _Bucket] = OrderedDict()

    def take(self, owner: OwnerId) -> None:
        """Take one token, or raise TooManyRequests with the time until there is one."""
        now = self._now()
        bucket = self._buckets.setdefault(owner, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        self._buckets.move_to_end(owner)
        if len(self._buckets) > self._owner_count:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            seconds = math.ceil((1 - bucket.tokens) / self._rate)
            raise TooManyRequests("submit more slowly", retry_after_seconds=seconds)
        bucket.tokens -= 1


@dataclass(frozen=True, slots=True)
class QueueGate:
    """How fast the workers take tasks, and how long a task may wait for its start."""

    task_seconds: float
    slot_count: int
    start_deadline_seconds: float

    def wait_seconds(self, lag: int) -> float:
        """Return how long a task waits behind `lag` others."""
        return lag * self.task_seconds / self.slot_count

    def check(self, lag: int | None) -> None:
        """Raise QueueTooLong when a task would start too late; an unknown lag (None) passes."""
        if lag is None:
            return
        excess = self.wait_seconds(lag) - self.start_deadline_seconds
        if excess > 0:
            seconds = max(1, min(_LONGEST_RETRY_SECONDS, math.ceil(excess)))
            raise QueueTooLong("a task submitted now would start too late", retry_after_seconds=seconds)
