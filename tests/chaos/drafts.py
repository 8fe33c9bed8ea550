"""Why drafts were made again: each one is held against the log and the model's own record of its calls."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

Version = tuple[str, int]
_COMPLETED = "completed"
_SETTLE_SECONDS = 1.0
"""How long after an answer a version may be on its way into the log."""
_TAKEOVER_SECONDS = 10.0
"""How long it may take from an assignment to the first record that a new owner writes."""


class Why(StrEnum):
    """What had become of a version when another attempt began it again."""

    INTERRUPTED = "interrupted"
    """A call for it was open: its worker died, let go of it, or stood still."""
    ANSWER_LOST = "answer lost"
    """The model had answered, and the log did not hold the version yet: its worker died, or Kafka was away."""
    PAID_TWICE = "paid twice"
    """The log held the version. Never."""


class Again(NamedTuple):
    """A draft that was made again, and the last call before it."""

    version: Version
    why: Why
    call: Mapping[str, Any]


@dataclass(slots=True)
class _Attempt:
    """The calls for one version in one attempt."""

    began_at: float
    last: Mapping[str, Any]

    def why(self, again_at: float, settled_at: float | None) -> Why:
        if settled_at is not None and settled_at < again_at:
            return Why.PAID_TWICE
        ended_at = self.last["ended_at"]
        if self.last["outcome"] != _COMPLETED or ended_at is None or ended_at > again_at:
            return Why.INTERRUPTED
        return Why.ANSWER_LOST


def made_again(calls: Iterable[Mapping[str, Any]], settled_at: Mapping[Version, float]) -> list[Again]:
    """Return the versions that another attempt drafted again, once for each time.

    `settled_at` says when the log first held a version, in seconds of the same clock as the calls.
    """
    attempts: dict[Version, dict[str, _Attempt]] = defaultdict(dict)
    for call in sorted(calls, key=lambda call: call["started_at"]):
        version = call["task_id"], int(call["version"])
        attempts[version].setdefault(call["attempt"], _Attempt(call["started_at"], call)).last = call
    return [
        Again(version, before.why(after.began_at, settled_at.get(version)), before.last)
        for version, found in attempts.items()
        for before, after in itertools.pairwise(found.values())
    ]


@dataclass
class Disturbances:
    """When calls may break off: moments at which workers die, stop or come back, and the times without a broker.

    `assignments` are the times at which the log first held a record of each new assignment of the partitions.
    """

    moments: list[float] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    assignments: list[float] = field(default_factory=list)

    def calls_in_flight(self, calls: Sequence[Mapping[str, Any]]) -> int:
        """Count the calls that were open at a disturbance, or just over, each as often as it was."""
        moments = [*self.moments, *(begin for begin, _ in self.outages)]
        return sum(_in_flight(call, moment) for moment in moments for call in calls)

    def explain(self, call: Mapping[str, Any]) -> bool:
        """Tell whether a call's answer could be lost: Kafka was away, its worker died or stood still, or let go."""
        spans = [(begin - _SETTLE_SECONDS, end) for begin, end in self.outages]
        spans += [(at - _TAKEOVER_SECONDS, at) for at in self.assignments]
        return any(begin <= call["ended_at"] <= end for begin, end in spans) or any(
            _in_flight(call, moment) for moment in self.moments
        )


def _in_flight(call: Mapping[str, Any], at: float) -> bool:
    ended_at = call["ended_at"]
    return bool(call["started_at"] <= at and (ended_at is None or at < ended_at + _SETTLE_SECONDS))
