"""The dispatcher: which request runs when, and when it is acknowledged.

Requests of a partition wait in order in a short queue of their own; a free slot goes to the partition with the fewest
running tasks that has one waiting and is below its cap. A partition whose queue is full is not fetched from, so memory
stays flat and a partition full of long tasks holds up nobody else. A request is acknowledged when its handler has
returned, which is when its terminal event is acknowledged by Kafka.

All of it runs on one event loop, and nothing here waits inside a rebalance.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import structlog

from contracts.attempt import OUTSIDE, Attempt
from contracts.lifecycle import TaskState
from stream_processors.committer import Ledger

MAX_ENDED_COUNT = 50_000
LATE_SECONDS = 30.0
"""How long a worker that lost a partition may go on: until its next heartbeat, or for a session without one."""
_ABORT_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record of the requests topic, as it came."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None = field(repr=False)
    headers: Sequence[tuple[str, bytes]] = field(default=(), repr=False)
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What the log tells of a task that has not ended.

    `draft_counts` says for each version how often its drafting has begun, whoever began it: so many calls may have been
    made for it (one that waited for its turn counts twice).
    """

    state: TaskState
    attempt_count: int = 0
    highest: Attempt = OUTSIDE
    draft_counts: Mapping[int, int] = field(default_factory=dict)


class Tail(Protocol):
    """The log of a partition behind what was folded of it."""

    async def recall(self, key: bytes, offset: int) -> Known | None:
        """Return what the log tells of a task up to an offset at least; None when it has ended."""


@dataclass(frozen=True, slots=True)
class History:
    """What the log tells of a partition: the tasks that were begun, those that have ended, and how it goes on."""

    known: Mapping[bytes, Known] = field(default_factory=dict)
    ended: frozenset[bytes] = frozenset()
    tail: Tail | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One record to deal with.

    `known` is what the log tells of its task, `crash_count` how many workers may have died of it, `settled` whether the
    record's key is that of a task which runs or has ended here (only unsound records are told so). `tail` is there when
    somebody else may have worked on the task until a moment ago, who may have written more since the log was folded.
    """

    delivery: Delivery
    known: Known | None
    crash_count: int
    generation: int
    settled: bool = False
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    tail: Tail | None = None


@dataclass(frozen=True, slots=True)
class Tenure:
    """One partition of an assignment: its ledger, and whether it stayed here without a break."""

    ledger: Ledger
    stayed: bool


class Feed(Protocol):
    """Where requests come from; holding is advice: what was fetched already still arrives."""

    def hold(self, partition: int) -> None:
        """Fetch nothing more of a partition for now."""

    def release(self, partition: int) -> None:
        """Fetch from a partition again."""

    async def rewind(self, partition: int, offset: int) -> None:
        """Fetch a partition from an offset on; what was fetched already may still arrive."""


class Handler(Protocol):
    """Deals with requests. Whatever it raises ends the worker: it has tried everything else."""

    def is_sound(self, delivery: Delivery) -> bool:
        """Whether a record is a request that this release can read."""

    async def __call__(self, job: Job) -> bool:
        """Run a task; True once its terminal event is acknowledged, False if only the record was put aside."""


class Historian(Protocol):
    """Reads what the log tells of a partition that was taken over."""

    async def __call__(self, partition: int, offset: int) -> History:
        """Fold the events of a partition whose oldest open request is at an offset."""


@dataclass(slots=True, eq=False)
class _Run:
    """A task that runs, and the requests that its end acknowledges."""

    identity: object
    job: Job
    share: "_Share"
    owed: list[int]
    in_slot: bool
    task: "asyncio.Task[None] | None" = None


@dataclass(slots=True, eq=False)
class _Share:
    """One partition: what waits, what is known, how much runs."""

    partition: int
    ledger: Ledger
    waiting: deque[Delivery] = field(default_factory=deque)
    known: dict[bytes, Known] = field(default_factory=dict)
    ended: dict[bytes, None] = field(default_factory=dict)
    running_count: int = 0
    begun_count: int = 0
    last_start: int = 0
    held: bool = False
    folding: "asyncio.Task[None] | None" = None
    tail: Tail | None = None
    opened_at: float = 0.0
    expected: int = 0
    """The offset that is to come next."""
    gap_end: int | None = None
    """An offset that came instead of the expected one."""
    rewinding: bool = False

    def expect(self) -> None:
        """Expect what has not been taken up yet: what was read ahead of it is forgotten."""
        self.expected, self.gap_end, self.rewinding = self.ledger.next_offset, None, False

    @property
    def is_recent(self) -> bool:
        """Whether the last owner may still be at work, because it has not heard that it is the owner no more."""
        return asyncio.get_running_loop().time() - self.opened_at < LATE_SECONDS

    def remember_end(self, key: bytes) -> None:
        self.known.pop(key, None)
        self.ended[key] = None
        while len(self.ended) > MAX_ENDED_COUNT:  # the oldest is forgotten: a late duplicate of it would run again
            del self.ended[next(iter(self.ended))]


@dataclass(slots=True)
class Counts:
    """What has happened so far."""

    started: int = 0
    finished: int = 0
    attached: int = 0
    already_ended: int = 0
    withdrawn: int = 0
    dropped: int = 0
    rewound: int = 0


class Dispatcher:
    """Runs at most `slot_count` tasks, at most `slots_per_partition` of one partition."""

    def __init__(
        self,
        feed: Feed,
        handle: Handler,
        recall: Historian,
        *,
        slot_count: int,
        slots_per_partition: int,
        look_ahead_count: int = 32,
        is_cancelled: Callable[[bytes], bool] = lambda key: False,
        on_open: Callable[[int], None] = lambda partition: None,
        on_failure: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self._feed = feed
        self._handle = handle
        self._recall = recall
        self._slot_count = slot_count
        self._slots_per_partition = slots_per_partition
        self._look_ahead_count = look_ahead_count
        self._is_cancelled = is_cancelled
        self._on_open = on_open
        self._on_failure = on_failure
        self._shares: dict[int, _Share] = {}
        self._running: dict[object, _Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy_count = 0
        self._suspended = True
        self._stopping = False
        self._generation = 0
        self.counts = Counts()

    @property
    def running_count(self) -> int:
        """How many slots are taken."""
        return self._busy_count

    @property
    def waiting_count(self) -> int:
        """How many requests wait here, read ahead."""
        return sum(len(share.waiting) for share in self._shares.values())

    def offer(self, delivery: Delivery) -> None:
        """Take in one request; at once, and at most what a fetch holds beyond the look-ahead."""
        share = self._shares.get(delivery.partition)
        if share is None or self._suspended or self._stopping or delivery.generation != self._generation:
            return  # of an assignment that is over: it comes again to whoever has the partition
        if not self._is_next(share, delivery.offset):
            return
        share.waiting.append(delivery)
        if not share.held and len(share.waiting) >= self._look_ahead_count:
            share.held = True
            self._feed.hold(share.partition)
        self._fill_slots()

    def _is_next(self, share: _Share, offset: int) -> bool:
        """Whether a delivery follows the one before it without a hole.

        After a rebalance the position is set back to what has not been taken up, and a fetch from before that may come
        through: what lies between would never be delivered, and be committed with what came. So a hole is asked for
        again, and believed only when the same record comes behind it once more.
        """
        if share.rewinding or offset < share.expected:
            return False
        if offset > share.expected and offset != share.gap_end:
            share.gap_end, share.rewinding = offset, True
            self.counts.rewound += 1
            log.info("partition.rewound", partition=share.partition, offset=share.expected, came=offset)
            self._spawn(self._rewind(share), f"rewind partition {share.partition}")
            return False
        share.expected, share.gap_end = offset + 1, None
        return True

    async def _rewind(self, share: _Share) -> None:
        try:
            await self._feed.rewind(share.partition, share.expected)
        except Exception:
            if self._shares.get(share.partition) is share and not (self._suspended or self._stopping):
                raise  # else it is another assignment's business
        share.rewinding = False

    def suspend(self) -> None:
        """Start nothing until the next assignment is known; what runs goes on."""
        self._suspended = True
        for share in self._shares.values():
            share.waiting.clear()
            self._release(share)

    def resume(self, generation: int, tenures: Mapping[int, Tenure]) -> None:
        """Go on with an assignment: keep what stayed, cancel what left, read the log of what is new."""
        self._generation = generation
        for partition, share in list(self._shares.items()):
            if partition not in tenures or not tenures[partition].stayed:
                self._drop(share)
        self._suspended = False
        for partition, tenure in tenures.items():
            if partition in self._shares:
                self._shares[partition].expect()
                self._on_open(partition)
            elif not self._stopping:
                self._take_over(partition, tenure)

    def cancel(self, key: bytes) -> bool:
        """Tell the task that runs under a key that it is cancelled; False when none does."""
        if (run := self._running.get(key)) is None:
            return False
        run.job.cancelled.set()
        return True

    def may_be_queued(self, partition: int, keys: Iterable[bytes]) -> set[bytes]:
        """Return those of the keys that neither run nor have ended; none while the partition is not open here."""
        share = self._shares.get(partition)
        if share is None or share.folding is not None or self._suspended or self._stopping:
            return set()
        return {key for key in keys if key not in share.ended and key not in self._running}

    def next_offset(self, partition: int) -> int | None:
        """Return where the requests begin that have not been taken up; None for a partition that is not here."""
        share = self._shares.get(partition)
        return None if share is None else share.ledger.next_offset

    async def withdraw(self, delivery: Delivery) -> None:
        """End a cancelled request that still waits for its turn; when that comes, it is only acknowledged."""
        key = delivery.key
        if key is None or not self.may_be_queued(delivery.partition, [key]):
            return
        share = self._shares[delivery.partition]
        if delivery.offset < share.ledger.next_offset:
            return
        self.counts.withdrawn += 1
        task = self._begin(share, delivery, key, owed=[], in_slot=False)
        await asyncio.wait([task])

    async def drain(self, seconds: float) -> None:
        """Start nothing more, let running tasks end for some time, cancel the rest unacknowledged."""
        self._stopping = True
        for share in self._shares.values():
            share.waiting.clear()
            if share.folding is not None:
                share.folding.cancel()
        log.info("drain.started", running_count=len(self._tasks))
        await self._wait_for_tasks(seconds)
        left = len(self._running)
        for run in list(self._running.values()):
            self._stop_run(run)
        await self._wait_for_tasks(_ABORT_SECONDS)
        log.info("drain.ended", cancelled_count=left)

    def abort(self) -> None:
        """Cut a drain short: cancel everything that runs, unacknowledged."""
        self._stopping = True
        for run in list(self._running.values()):
            self._stop_run(run)

    async def _wait_for_tasks(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._tasks and (left := end - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    def _take_over(self, partition: int, tenure: Tenure) -> None:
        share = _Share(partition, tenure.ledger)
        share.expect()
        self._shares[partition] = share
        share.folding = self._spawn(self._open(share), f"fold partition {partition}")

    async def _open(self, share: _Share) -> None:
        try:
            history = await self._recall(share.partition, share.ledger.next_offset)
        except asyncio.CancelledError:
            if self._shares.get(share.partition) is share and not self._stopping:
                self._on_failure(RuntimeError("a fold was cancelled by nobody"))
            raise
        share.known.update(history.known)
        for key in history.ended:
            share.remember_end(key)
        share.tail, share.opened_at = history.tail, asyncio.get_running_loop().time()
        share.folding = None
        self._on_open(share.partition)
        self._fill_slots()

    def _drop(self, share: _Share) -> None:
        """Let go of a partition that somebody else has now."""
        del self._shares[share.partition]
        self._release(share)
        if share.folding is not None:
            share.folding.cancel()
        for run in [run for run in self._running.values() if run.share is share]:
            self.counts.dropped += 1
            self._stop_run(run)

    def _stop_run(self, run: _Run) -> None:
        # Out of the map first: the same request, delivered again, must not be attached to a dying task.
        self._running.pop(run.identity, None)
        if run.task is not None:
            run.task.cancel()

    def _fill_slots(self) -> None:
        while not self._suspended and not self._stopping and self._busy_count < self._slot_count:
            if (share := self._next_share()) is None:
                return
            delivery = share.waiting.popleft()
            if share.held and len(share.waiting) <= self._look_ahead_count // 2:
                self._release(share)
            self._take_up(share, delivery)

    def _next_share(self) -> _Share | None:
        ready = (
            share
            for share in self._shares.values()
            if share.waiting and share.folding is None and share.running_count < self._slots_per_partition
        )
        return min(ready, key=lambda share: (share.running_count, share.last_start), default=None)

    def _take_up(self, share: _Share, delivery: Delivery) -> None:
        if not share.ledger.take(delivery.offset):
            return  # fetched twice
        if not self._handle.is_sound(delivery):
            self._begin(share, delivery, (delivery.partition, delivery.offset), owed=[delivery.offset], in_slot=True)
        elif delivery.key in share.ended:
            self.counts.already_ended += 1
            share.ledger.acknowledge(delivery.offset)
        elif (run := self._running.get(delivery.key)) is not None:
            self.counts.attached += 1
            run.owed.append(delivery.offset)
        else:
            self._begin(share, delivery, delivery.key, owed=[delivery.offset], in_slot=True)

    def _begin(
        self, share: _Share, delivery: Delivery, identity: object, *, owed: list[int], in_slot: bool
    ) -> "asyncio.Task[None]":
        run = _Run(identity, self._job(share, delivery), share, owed, in_slot)
        if in_slot:
            self.counts.started += 1
            self._busy_count += 1
            share.running_count += 1
            share.begun_count += 1
            share.last_start = self.counts.started
            if share.begun_count == self._slots_per_partition:  # no more than so many can have been running
                share.ledger.end_probation(delivery.offset + 1)
        self._running[identity] = run
        run.task = self._spawn(self._run(run), f"request {delivery.partition}-{delivery.offset}")
        run.task.add_done_callback(partial(self._run_ended, run))
        return run.task

    def _job(self, share: _Share, delivery: Delivery) -> Job:
        key = delivery.key or b""
        settled = key in share.ended or key in self._running
        crash_count = share.ledger.crash_count(delivery.offset)
        tail = share.tail if share.is_recent or share.ledger.on_probation(delivery.offset) else None
        job = Job(delivery, share.known.get(key), crash_count, self._generation, settled, tail=tail)
        if self._is_cancelled(key):
            job.cancelled.set()
        return job

    async def _run(self, run: _Run) -> None:
        ended = await self._handle(run.job)
        self.counts.finished += 1
        if ended and run.job.delivery.key is not None:
            run.share.remember_end(run.job.delivery.key)
        for offset in run.owed:
            run.share.ledger.acknowledge(offset)  # if the partition left meanwhile, its ledger is nobody's any more

    def _run_ended(self, run: _Run, task: "asyncio.Task[None]") -> None:
        # Not in a `finally` of the task: one that is cancelled before its first step never gets there.
        if self._running.get(run.identity) is run:
            del self._running[run.identity]
            if task.cancelled() and not self._stopping:  # by nobody here: whoever is stopped is out of the map before
                self._on_failure(RuntimeError("a task was cancelled by nobody"))
        if run.in_slot:
            self._busy_count -= 1
            run.share.running_count -= 1
        self._fill_slots()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("dispatcher.task_failed", task=task.get_name(), error=type(error).__name__)
            self._on_failure(error)

    def _release(self, share: _Share) -> None:
        if share.held:
            share.held = False
            self._feed.release(share.partition)
