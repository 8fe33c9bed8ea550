"""Whether a failed call is made again, and when. Pure."""

from dataclasses import dataclass

from contracts.events import Reason
from stream_processors.errors import ModelError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently calls are made again.

    `call_budget` counts all calls of one version in one attempt: drafts, rewrites and shortenings; with those that
    earlier attempts began there may be at most `total_call_budget`. Back-off doubles from `first_seconds` to
    `longest_seconds`, and jitter takes up to half of it away.
    """

    call_budget: int = 6
    total_call_budget: int = 20
    first_seconds: float = 0.5
    longest_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Again:
    """Make the call again after a wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no more calls for the version."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Failures:
    """How far a version has come: calls made in total, and failures since the last good one."""

    call_count: int
    in_a_row: int


def decide(
    policy: RetryPolicy, error: ModelError, failures: Failures, remaining_seconds: float, draw: float
) -> Again | GiveUp:
    """Decide what follows a failed call.

    `remaining_seconds` are left until the task's end; `draw`, from 0 to 1, is the jitter. What the other side asks for
    is waited in full, with jitter on top; a wait that would end after the task does is not begun.
    """
    if not error.retryable:
        return GiveUp(error.reason)
    if failures.call_count >= policy.call_budget:
        return GiveUp(Reason.BUDGET_EXHAUSTED)
    backoff = min(policy.longest_seconds, policy.first_seconds * 2 ** (failures.in_a_row - 1))
    if error.retry_after_seconds is not None:
        seconds = error.retry_after_seconds + draw * policy.first_seconds
    else:
        seconds = backoff * (1 - draw / 2)
    return Again(seconds) if seconds < remaining_seconds else GiveUp(error.reason)
