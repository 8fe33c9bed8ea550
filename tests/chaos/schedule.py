"""A seeded schedule of faults: the same seed is the same schedule."""

import random
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What can be done to a process."""

    KILL_WORKER = "kill -9 of a worker"
    TERM_WORKER = "SIGTERM of a worker"
    PAUSE_WORKER = "SIGSTOP of a worker"
    STORM = "rebalance storm"
    TERM_BROKER = "SIGTERM of a broker"
    KILL_BROKER = "kill -9 of a broker"
    KILL_RELAY = "kill -9 of the relay"
    KILL_PROJECTOR = "kill -9 of the projector"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when, what, to which of its kind (from 1), and how long until it is made good."""

    at_seconds: float
    kind: FaultKind
    target: int
    lasts_seconds: float


_WEIGHTS = {
    FaultKind.KILL_WORKER: 6,
    FaultKind.TERM_WORKER: 2,
    FaultKind.PAUSE_WORKER: 3,
    FaultKind.STORM: 1,
    FaultKind.TERM_BROKER: 1,
    FaultKind.KILL_BROKER: 1,
    FaultKind.KILL_RELAY: 1,
    FaultKind.KILL_PROJECTOR: 1,
}
_LASTS_SECONDS = {
    FaultKind.KILL_WORKER: (0.2, 8.0),
    FaultKind.TERM_WORKER: (0.2, 4.0),
    FaultKind.PAUSE_WORKER: (5.0, 60.0),
    FaultKind.STORM: (4.0, 10.0),
    FaultKind.TERM_BROKER: (0.5, 10.0),
    FaultKind.KILL_BROKER: (0.5, 10.0),
    FaultKind.KILL_RELAY: (0.2, 3.0),
    FaultKind.KILL_PROJECTOR: (0.2, 3.0),
}


def draw_schedule(
    seed: int, *, seconds: float, worker_count: int, broker_count: int, kinds: tuple[FaultKind, ...] = tuple(FaultKind)
) -> tuple[Fault, ...]:
    """Return faults in the order of time, one every three to nine seconds."""
    source = random.Random(seed)
    faults: list[Fault] = []
    at = source.uniform(2, 5)
    while at < seconds:
        kind = source.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0]
        count = {"worker": worker_count, "broker": broker_count}.get(kind.split()[-1], 1)
        shortest, longest = _LASTS_SECONDS[kind]
        lasts = source.uniform(shortest, min(longest, max(shortest, seconds / 3)))
        faults.append(Fault(at, kind, source.randint(1, count), lasts))
        at += source.uniform(3, 9)
    return tuple(faults)
