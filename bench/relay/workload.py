"""The workloads, as data."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Steady:
    """Streams that get events at a rate. `viewers` streams for each of `tasks` tasks; none: intake only."""

    title: str
    tasks: int
    per_task_per_second: float
    viewers: int = 1
    window_seconds: float = 8.0
    warm_up_seconds: float = 2.0
    stalled_readers: int | None = None
    """Streams beside the measured ones on busy tasks of their own; None: there are none."""
    stalled: bool = False
    """Whether those never read."""

    @property
    def records_per_second(self) -> float:
        """What the producer writes."""
        return self.tasks * self.per_task_per_second


@dataclass(frozen=True, slots=True)
class Idle:
    """Streams on which nothing happens but heartbeats."""

    title: str
    streams: int
    window_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Clients that connect at once, each with so many events to get."""

    title: str
    clients: int
    events: int
    reconnect: bool = False
    """They were connected before, and lost the connection; else they come with the position of the first record."""
    restart: bool = False
    """The server was killed, and events were written meanwhile."""
    snapshot: bool = False
    """They come without a position, and get a snapshot."""


Workload = Steady | Idle | CatchUp

WORKLOADS: dict[str, Workload] = {
    "w1a": Steady("500 tasks × 10/s, one viewer each", 500, 10),
    "w1b": Steady("2000 tasks × 5/s, one viewer each", 2000, 5),
    "w1c": Steady("8000 tasks × 1/s, one viewer each", 8000, 1),
    "w1d": Steady("500 tasks × 2/s, one viewer each", 500, 2),
    "w1e": Steady("5000 records/s, nobody looks", 500, 10, viewers=0),
    "w2": Steady("2000 viewers of one task × 20/s", 1, 20, viewers=2000),
    "w3": Idle("10,000 idle streams", 10_000),
    "w4a": CatchUp("500 clients connect at once, 500 events each", 500, 500),
    "w4b": CatchUp("500 clients reconnect at once, 500 events each", 500, 500, reconnect=True),
    "w4c": CatchUp("1000 clients after a kill of the server, 50 events each", 1000, 50, restart=True),
    "w4d": CatchUp("500 clients without a position, tasks of 500 events", 500, 500, snapshot=True),
    "w5": Steady("1000 streams × 2/s; 10 busy others read", 1000, 2, stalled_readers=10),
    "w5x": Steady("1000 streams × 2/s; 10 busy others never read", 1000, 2, stalled_readers=10, stalled=True),
    "load10": Steady("2000 streams at a tenth of what a core carries", 2000, 2),
    "load50": Steady("2000 streams at half of what a core carries", 2000, 10),
}


def quick(workload: Workload) -> Workload:
    """Return a short form for a look: shorter windows, fewer idle streams."""
    match workload:
        case Steady():
            return replace(workload, window_seconds=4.0, warm_up_seconds=1.0)
        case Idle():
            return replace(workload, streams=min(workload.streams, 3000), window_seconds=15.0)
        case CatchUp():
            return workload


def at_load(workload: Steady, share: float, capacity_per_second: float) -> Steady:
    """Return the workload with its rate set to a share of what one core can carry."""
    return replace(workload, per_task_per_second=share * capacity_per_second / workload.tasks)
