"""Why drafts were made again: each one is held against the log and the model's own record of its calls."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from contracts.attempt import Attempt

Version = tuple[str, int]
_COMPLETED = "completed"


class Why(StrEnum):
    """What had become of a version when another attempt began it again."""

    INTERRUPTED = "interrupted"
    """A call for it was open: its worker died, let go of it, or stood still."""
    ANSWER_LOST = "answer lost"
    """The model had answered, and the log did not hold the version yet: its worker died, or Kafka was away."""
    PAID_TWICE = "paid twice"
    """The log held the version. Never."""


class Again(NamedTuple):
    """A draft that was made again; its version was in flight from `since` to `until`."""

    version: Version
    why: Why
    since: float
    until: float


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
    """Return the versions that another attempt drafted again, once for each time, in the order of attempts.

    A worker that stood still and wakes up may call for a moment after its successor: it still comes before it.
    `settled_at` says when the log first held a version, in seconds of the same clock as the calls.
    """
    attempts: dict[Version, dict[str, _Attempt]] = defaultdict(dict)
    for call in sorted(calls, key=lambda call: call["started_at"]):
        version = call["task_id"], int(call["version"])
        attempts[version].setdefault(call["attempt"], _Attempt(call["started_at"], call)).last = call
    return [
        Again(version, before.why(after.began_at, settled_at.get(version)), before.began_at, after.began_at)
        for version, found in attempts.items()
        for before, after in itertools.pairwise(found[name] for name in sorted(found, key=Attempt.parse))
    ]


@dataclass
class Disturbances:
    """When calls may break off: moments at which workers die, stop or come back, and the times without a broker.

    `assignments` are the times at which the log first held a record of each new assignment of the partitions.
    """

    moments: list[float] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    assignments: list[float] = field(default_factory=list)

    def versions_in_flight(self, calls: Iterable[Mapping[str, Any]], settled_at: Mapping[Version, float]) -> int:
        """Count the versions that the model had been called for and the log did not hold, at each disturbance."""
        begun: dict[Version, float] = {}
        for call in calls:
            version = call["task_id"], int(call["version"])
            begun[version] = min(call["started_at"], begun.get(version, math.inf))
        moments = [*self.moments, *(begin for begin, _ in self.outages)]
        return sum(
            began_at <= moment < settled_at.get(version, math.inf)
            for moment in moments
            for version, began_at in begun.items()
        )

    def explain(self, again: Again) -> bool:
        """Tell whether anything happened while the version was in flight."""
        since, until = sorted((again.since, again.until))
        return any(since <= at <= until for at in (*self.moments, *self.assignments)) or any(
            since <= end and begin <= until for begin, end in self.outages
        )
