"""Rate limits as the real API keeps them: buckets of requests and tokens that fill up evenly."""

from dataclasses import dataclass
from math import ceil

from pydantic import BaseModel, ConfigDict, Field

from deploy.model_simulator.frames import Header


class LimitSettings(BaseModel):
    """How much is let through; None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    burst_seconds: float = Field(default=60, gt=0)
    """How many seconds' worth a full bucket holds."""


@dataclass(slots=True)
class _Bucket:
    name: str
    per_minute: int
    capacity: float
    level: float
    filled_at: float

    def fill(self, now: float) -> None:
        grown = self.level + (now - self.filled_at) * self.per_minute / 60
        self.level = min(self.capacity, grown)
        self.filled_at = now

    def seconds_until(self, amount: float) -> float:
        return max(min(amount, self.capacity) - self.level, 0) * 60 / self.per_minute

    def headers(self) -> tuple[Header, ...]:
        reset_seconds = (self.capacity - self.level) * 60 / self.per_minute
        return (
            (f"x-ratelimit-limit-{self.name}", str(self.per_minute)),
            (f"x-ratelimit-remaining-{self.name}", str(max(int(self.level), 0))),
            (f"x-ratelimit-reset-{self.name}", f"{ceil(reset_seconds * 1000)}ms"),
        )


class RateLimits:
    """Take requests and tokens out of the buckets, or say how long to wait."""

    def __init__(self, settings: LimitSettings, now: float) -> None:
        self.settings = settings
        self._requests = _new_bucket("requests", settings.requests_per_minute, settings, now)
        self._tokens = _new_bucket("tokens", settings.tokens_per_minute, settings, now)

    def admit(self, token_count: int, now: float) -> float:
        """Let one call through and return 0, or take nothing and return the seconds until it would pass."""
        buckets = [
            (bucket, amount)
            for bucket, amount in ((self._requests, 1), (self._tokens, token_count))
            if bucket is not None
        ]
        for bucket, _ in buckets:
            bucket.fill(now)
        wait_seconds = max((bucket.seconds_until(amount) for bucket, amount in buckets), default=0.0)
        if wait_seconds == 0:
            for bucket, amount in buckets:
                bucket.level -= amount
        return wait_seconds

    def headers(self) -> tuple[Header, ...]:
        """Return what is left, in the words of the real API."""
        buckets = [bucket for bucket in (self._requests, self._tokens) if bucket is not None]
        return tuple(header for bucket in buckets for header in bucket.headers())


def _new_bucket(name: str, per_minute: int | None, settings: LimitSettings, now: float) -> _Bucket | None:
    if per_minute is None:
        return None
    capacity = max(per_minute * settings.burst_seconds / 60, 1)
    return _Bucket(name, per_minute, capacity, capacity, now)
