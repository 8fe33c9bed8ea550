"""Why drafts were made again: each one is held against the log and the model's own record of its calls."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from contracts.attempt import Attempt

Version = tuple[str, int]
_COMPLETED = "completed"
_RETURN_SECONDS = 20.0
"""How long after a fault of a worker partitions may still go to others and come back: a session, and its own start."""
_WOKEN_SECONDS = 5.0
"""How long a call of a worker that has lost its partition may stay open: two heartbeats, and a busy machine."""


class Why(StrEnum):
    """What had become of a version when another attempt began it again."""

    INTERRUPTED = "interrupted"
    """A call for it was open: its worker died, let go of it, or stood still."""
    ANSWER_LOST = "answer lost"
    """The model had answered, and the log did not hold the version yet: its worker died, or Kafka was away."""
    WOKEN = "by a woken worker"
    """It stood still, a successor began, and it called before it learnt that: closed again within seconds."""
    PAID_TWICE = "paid twice"
    """The log held the version. Never."""


class Again(NamedTuple):
    """A draft that was made again; its version was in flight from `since` to `until`."""

    version: Version
    why: Why
    since: float
    until: float
    same_worker: bool = False
    """Whether both attempts were those of one process."""


@dataclass(slots=True)
class _Attempt:
    """The calls for one version in one attempt."""

    began_at: float
    last: Mapping[str, Any]

    @property
    def boot_ms(self) -> int:
        return Attempt.parse(self.last["attempt"]).boot_ms

    @property
    def ended_at(self) -> float:
        ended_at: float | None = self.last["ended_at"]
        return math.inf if ended_at is None else ended_at

    def why(self, again_at: float, settled_at: float | None) -> Why:
        if settled_at is not None and settled_at < again_at:
            return Why.PAID_TWICE
        if self.last["outcome"] != _COMPLETED or self.ended_at > again_at:
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
    again = []
    for version, found in attempts.items():
        in_turn, woken = _apart([found[name] for name in sorted(found, key=Attempt.parse)])
        again += [Again(version, Why.WOKEN, attempt.began_at, attempt.ended_at) for attempt in woken]
        again += [
            Again(
                version,
                before.why(after.began_at, settled_at.get(version)),
                before.began_at,
                after.began_at,
                before.boot_ms == after.boot_ms,
            )
            for before, after in itertools.pairwise(in_turn)
        ]
    return again


def _apart(attempts: Sequence[_Attempt]) -> tuple[list[_Attempt], list[_Attempt]]:
    """Return the attempts that began in their order, and those that began behind a later one."""
    in_turn: list[_Attempt] = []
    woken: list[_Attempt] = []
    for attempt in reversed(attempts):
        is_late = in_turn and attempt.began_at > in_turn[-1].began_at
        (woken if is_late else in_turn).append(attempt)
    return in_turn[::-1], woken


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
        since, until = again.since, again.until
        if again.why is Why.WOKEN:
            return until - since <= _WOKEN_SECONDS
        recent = any(since - _RETURN_SECONDS <= at <= until for at in self.moments)
        moves = self.assignments if recent or not again.same_worker else ()  # else it let go of what nobody got
        return any(since <= at <= until for at in (*self.moments, *moves)) or any(
            since <= end and begin <= until for begin, end in self.outages
        )
