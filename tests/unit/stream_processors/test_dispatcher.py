"""The dispatcher on a feed in memory: order is proved by events, never by time."""

import asyncio
from collections.abc import Iterable

import pytest

from contracts.attempt import Attempt
from contracts.lifecycle import TaskState
from contracts.task import TaskId
from stream_processors.committer import Commit, Committer, Standing
from stream_processors.dispatcher import Delivery, Dispatcher, History, Job, Known, Tenure


class MemoryFeed:
    """Remembers which partitions are held, and what is to be fetched again."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.rewound: list[tuple[int, int]] = []

    def hold(self, partition: int) -> None:
        self.held.add(partition)

    def release(self, partition: int) -> None:
        self.held.discard(partition)

    async def rewind(self, partition: int, offset: int) -> None:
        self.rewound.append((partition, offset))


class Bench:
    """A dispatcher whose tasks end when the test says so."""

    def __init__(self, *, slots: int = 4, per_partition: int = 2, look_ahead: int = 3) -> None:
        self.feed = MemoryFeed()
        self.committer = Committer("me-1-a")
        self.jobs: dict[bytes, Job] = {}
        self.order: list[bytes] = []
        self.ends: dict[bytes, asyncio.Event] = {}
        self.aborted: list[bytes] = []
        self.cancelled: set[bytes] = set()
        self.histories: dict[int, asyncio.Future[History]] = {}
        self.opened: list[int] = []
        self.failures: list[BaseException] = []
        self.unsound: set[bytes] = set()
        self.generation = 0
        self.offsets: dict[int, int] = {}
        self.dispatcher = Dispatcher(
            self.feed,
            self,
            self.recall,
            slot_count=slots,
            slots_per_partition=per_partition,
            look_ahead_count=look_ahead,
            is_cancelled=lambda key: key in self.cancelled,
            on_open=self.opened.append,
            on_failure=self.failures.append,
        )

    def is_sound(self, delivery: Delivery) -> bool:
        return delivery.value not in self.unsound

    async def __call__(self, job: Job) -> bool:
        key = job.delivery.key or b"none"
        self.jobs[key] = job
        self.order.append(key)
        if not self.is_sound(job.delivery):
            return False
        try:
            await self.ends.setdefault(key, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.aborted.append(key)
            raise
        return True

    async def recall(self, partition: int, offset: int) -> History:
        waiting = self.histories.get(partition)
        return History() if waiting is None else await waiting

    async def assign(self, partitions: Iterable[int], *, taken_from_me: Iterable[int] = ()) -> None:
        """Go through a rebalance."""
        self.dispatcher.suspend()
        kept = self.committer.due(self.committer.positions())
        self.committer.confirm(kept)
        standings = {}
        for partition in partitions:
            commit = kept.get(partition)
            if partition in taken_from_me:
                commit = Commit(commit.offset if commit else 0, "other-1-b held 0")
            standings[partition] = Standing(commit, 0, 100)
        stayed = self.committer.assign(standings)
        self.generation += 1
        tenures = {number: Tenure(self.committer.ledger(number), stayed[number]) for number in standings}
        self.dispatcher.resume(self.generation, tenures)
        await settle()

    def deliver(self, partition: int, *keys: str | None, value: bytes = b"sound") -> None:
        for key in keys:
            offset = self.offsets.get(partition, 0)
            self.offsets[partition] = offset + 1
            raw = None if key is None else key.encode()
            self.dispatcher.offer(Delivery(partition, offset, raw, value, (), self.generation))

    def end(self, *keys: str) -> None:
        for key in keys:
            self.ends.setdefault(key.encode(), asyncio.Event()).set()

    @property
    def running(self) -> set[str]:
        return {key.decode() for key in self.order if not self.ends.get(key, asyncio.Event()).is_set()} - {
            key.decode() for key in self.aborted
        }

    def watermark(self, partition: int) -> int:
        return self.committer.ledger(partition).low_watermark


async def settle() -> None:
    """Let everything that can go on go on: a bounded number of turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_partition_full_of_long_tasks_holds_up_nobody_else() -> None:
    bench = Bench(slots=4, per_partition=2, look_ahead=3)
    await bench.assign([0, 1])
    bench.deliver(0, *(f"long{number}" for number in range(10)))
    await settle()
    assert bench.running == {"long0", "long1"}
    assert bench.feed.held == {0}
    bench.deliver(1, "a", "b")
    await settle()
    assert bench.running == {"long0", "long1", "a", "b"}


async def test_a_held_partition_is_fetched_from_again_when_half_of_what_waits_is_gone() -> None:
    bench = Bench(slots=1, per_partition=1, look_ahead=4)
    await bench.assign([0])
    bench.deliver(0, "a", "b", "c", "d", "e")
    await settle()
    assert bench.feed.held == {0}
    bench.end("a", "b")
    await settle()
    assert bench.feed.held == set()


async def test_a_free_slot_goes_to_the_partition_with_the_fewest_running_tasks() -> None:
    bench = Bench(slots=3, per_partition=3)
    await bench.assign([0, 1])
    bench.deliver(0, "a", "b", "c", "d")
    bench.deliver(1, "x")
    await settle()
    assert bench.running == {"a", "b", "c"}
    bench.end("a")
    await settle()
    assert bench.running == {"b", "c", "x"}


async def test_a_request_is_acknowledged_only_when_its_task_has_ended_and_all_before_it() -> None:
    bench = Bench()
    await bench.assign([0])
    bench.deliver(0, "a", "b")
    await settle()
    bench.end("b")
    await settle()
    assert bench.watermark(0) == 0
    bench.end("a")
    await settle()
    assert bench.watermark(0) == 2


async def test_a_rebalance_keeps_what_stays_running_and_stops_what_leaves() -> None:
    bench = Bench()
    await bench.assign([0, 1])
    bench.deliver(0, "stays")
    bench.deliver(1, "leaves")
    await settle()
    await bench.assign([0])
    assert bench.aborted == [b"leaves"]
    bench.end("stays")
    await settle()
    assert bench.watermark(0) == 1
    assert bench.order == [b"stays", b"leaves"]


async def test_a_partition_that_somebody_else_has_had_begins_again() -> None:
    bench = Bench()
    await bench.assign([0])
    bench.deliver(0, "a")
    await settle()
    await bench.assign([0], taken_from_me=[0])
    assert bench.aborted == [b"a"]
    bench.offsets[0] = 0
    bench.deliver(0, "a")
    await settle()
    assert bench.order == [b"a", b"a"]
    assert bench.dispatcher.counts.attached == 0


async def test_what_was_read_ahead_is_dropped_in_a_rebalance_and_comes_again() -> None:
    bench = Bench(slots=1)
    await bench.assign([0])
    bench.deliver(0, "a", "b", "c")
    await settle()
    await bench.assign([0])
    assert bench.dispatcher.waiting_count == 0
    assert bench.committer.positions() == {0: 1}
    bench.offsets[0] = 1
    bench.deliver(0, "b", "c")
    bench.end("a", "b", "c")
    await settle()
    assert bench.order == [b"a", b"b", b"c"]
    assert bench.watermark(0) == 3


async def test_a_delivery_of_an_assignment_that_is_over_is_ignored() -> None:
    bench = Bench()
    await bench.assign([0])
    late = Delivery(0, 0, b"late", b"sound", (), bench.generation)
    await bench.assign([0])
    bench.dispatcher.offer(late)
    bench.dispatcher.offer(Delivery(5, 0, b"not mine", b"sound", (), bench.generation))
    await settle()
    assert bench.order == []


async def test_nothing_of_a_partition_starts_before_its_log_is_read_and_the_others_do_not_wait() -> None:
    bench = Bench()
    folding: asyncio.Future[History] = asyncio.get_running_loop().create_future()
    bench.histories[0] = folding
    await bench.assign([0, 1])
    bench.deliver(0, "ended", "begun")
    bench.deliver(1, "new")
    await settle()
    assert bench.running == {"new"}
    known = Known(TaskState(TaskId("begun"), started=True), 1, Attempt(1, 1))
    folding.set_result(History({b"begun": known}, frozenset({b"ended"})))
    await settle()
    assert bench.running == {"new", "begun"}
    assert bench.jobs[b"begun"].known == known
    bench.end("begun")
    await settle()
    assert bench.watermark(0) == 2


class UnusedTail:
    async def recall(self, key: bytes, offset: int) -> Known | None:
        raise AssertionError("not asked here")


async def bench_with_tail(*, slots: int = 4) -> Bench:
    bench = Bench(slots=slots, per_partition=2, look_ahead=20)
    folding: asyncio.Future[History] = asyncio.get_running_loop().create_future()
    bench.histories[0] = folding
    await bench.assign([0])
    folding.set_result(History(tail=UnusedTail()))
    await settle()
    return bench


@pytest.mark.parametrize(("late_seconds", "third"), [(0.0, False), (60.0, True)])
async def test_what_somebody_else_may_have_begun_looks_at_the_log_again(
    late_seconds: float, third: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_processors.dispatcher.LATE_SECONDS", late_seconds)
    bench = await bench_with_tail()
    bench.deliver(0, "first", "second", "third")
    await settle()
    bench.end("first", "second")
    await settle()
    assert [bench.jobs[key].tail is not None for key in (b"first", b"second", b"third")] == [True, True, third]


async def test_a_request_that_is_withdrawn_behind_others_takes_nothing_from_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream_processors.dispatcher.LATE_SECONDS", 0.0)
    bench = await bench_with_tail(slots=1)
    bench.deliver(0, "first", "second")
    await settle()
    withdrawing = asyncio.create_task(
        bench.dispatcher.withdraw(Delivery(0, 500, b"new", b"sound", (), bench.generation))
    )
    await settle()
    bench.end("first", "new")
    await withdrawing
    await settle()
    assert bench.jobs[b"second"].tail is not None


async def test_a_task_that_is_cancelled_by_nobody_ends_the_worker_and_is_not_forgotten() -> None:
    bench = Bench()
    await bench.assign([0])
    bench.deliver(0, "struck")
    await settle()
    struck = next(task for task in asyncio.all_tasks() if task.get_name().startswith("request"))
    struck.cancel()
    await settle()
    assert [type(failure) for failure in bench.failures] == [RuntimeError]
    assert bench.watermark(0) == 0


async def test_a_fold_that_is_cancelled_by_nobody_ends_the_worker() -> None:
    bench = Bench()
    folding: asyncio.Future[History] = asyncio.get_running_loop().create_future()
    bench.histories[0] = folding
    await bench.assign([0])
    folding.cancel()
    await settle()
    assert [type(failure) for failure in bench.failures] == [RuntimeError]


async def test_a_fetch_from_before_a_seek_takes_no_request_along() -> None:
    bench = Bench(slots=20, per_partition=20, look_ahead=20)
    await bench.assign([0])
    bench.deliver(0, "a", "b")
    await bench.assign([0])
    bench.offsets[0] = 6  # what came while nothing was started has been fetched, and dropped
    bench.deliver(0, "g", "h")
    await settle()
    assert (bench.running, bench.feed.rewound) == ({"a", "b"}, [(0, 2)])
    bench.deliver(0, "i")  # still of that fetch
    await settle()
    bench.offsets[0] = 2
    bench.deliver(0, "c", "d", "e", "f", "g", "h", "i")
    await settle()
    assert bench.running == set("abcdefghi")
    bench.end(*"abcdefghi")
    await settle()
    assert bench.watermark(0) == 9


async def test_a_hole_in_the_topic_is_believed_when_the_same_record_comes_behind_it_again() -> None:
    bench = Bench()
    await bench.assign([0])
    bench.deliver(0, "a")
    bench.offsets[0] = 7
    bench.deliver(0, "b")
    await settle()
    assert (bench.running, bench.feed.rewound) == ({"a"}, [(0, 1)])
    bench.offsets[0] = 7
    bench.deliver(0, "b", "c")
    await settle()
    assert bench.running == {"a", "b"}  # and c waits for one of the two slots
    assert bench.feed.rewound == [(0, 1)]
    bench.end("a", "b")
    await settle()
    assert bench.running == {"c"}


async def test_the_same_task_twice_runs_once_and_both_requests_are_acknowledged() -> None:
    bench = Bench()
    await bench.assign([0])
    bench.deliver(0, "a", "a")
    await settle()
    assert bench.order == [b"a"]
    bench.end("a")
    await settle()
    bench.deliver(0, "a")
    await settle()
    assert (bench.watermark(0), bench.order) == (3, [b"a"])


async def test_a_record_that_is_no_request_is_dealt_with_beside_the_task_whose_key_it_has() -> None:
    bench = Bench()
    bench.unsound = {b"garbage"}
    await bench.assign([0])
    bench.deliver(0, "a")
    bench.deliver(0, "a", None, value=b"garbage")
    await settle()
    assert bench.order == [b"a", b"a", b"none"]
    assert bench.jobs[b"a"].settled
    assert not bench.jobs[b"none"].settled
    bench.deliver(0, "b", value=b"garbage")
    await settle()
    bench.deliver(0, "b")
    await settle()
    assert bench.order[-2:] == [b"b", b"b"]  # garbage under its key did not end the task


async def test_a_cancellation_reaches_the_running_task_and_the_one_that_comes_up_later() -> None:
    bench = Bench(slots=1)
    await bench.assign([0])
    bench.deliver(0, "a", "b")
    await settle()
    assert bench.dispatcher.cancel(b"a")
    assert not bench.dispatcher.cancel(b"b")
    assert bench.jobs[b"a"].cancelled.is_set()
    bench.cancelled.add(b"b")
    bench.end("a")
    await settle()
    assert bench.jobs[b"b"].cancelled.is_set()


async def test_a_queued_request_is_withdrawn_without_a_slot_and_acknowledged_in_its_turn() -> None:
    bench = Bench(slots=1)
    await bench.assign([0])
    bench.deliver(0, "a", "b")
    await settle()
    bench.cancelled.add(b"b")
    bench.end("b")
    assert bench.dispatcher.may_be_queued(0, [b"a", b"b"]) == {b"b"}
    await bench.dispatcher.withdraw(Delivery(0, 1, b"b", b"sound"))
    assert bench.order == [b"a", b"b"]
    assert bench.watermark(0) == 0
    await bench.dispatcher.withdraw(Delivery(0, 1, b"b", b"sound"))
    bench.end("a")
    await settle()
    assert (bench.order, bench.watermark(0)) == ([b"a", b"b"], 2)


async def test_a_drain_lets_running_tasks_end_and_begins_nothing() -> None:
    bench = Bench(slots=1)
    await bench.assign([0])
    bench.deliver(0, "a", "b")
    await settle()
    draining = asyncio.create_task(bench.dispatcher.drain(30))
    await settle()
    bench.end("a")
    await draining
    assert (bench.order, bench.watermark(0), bench.aborted) == ([b"a"], 1, [])


@pytest.mark.parametrize("how", ["deadline", "abort"])
async def test_what_a_drain_cannot_end_is_stopped_and_not_acknowledged(how: str) -> None:
    bench = Bench()
    await bench.assign([0])
    bench.deliver(0, "a")
    await settle()
    draining = asyncio.create_task(bench.dispatcher.drain(0 if how == "deadline" else 30))
    if how == "abort":
        await settle()
        bench.dispatcher.abort()
    await draining
    assert (bench.aborted, bench.watermark(0)) == ([b"a"], 0)


async def test_a_rebalance_during_a_drain_keeps_what_stays() -> None:
    bench = Bench()
    await bench.assign([0, 1])
    bench.deliver(0, "stays")
    bench.deliver(1, "leaves")
    await settle()
    draining = asyncio.create_task(bench.dispatcher.drain(30))
    await settle()
    await bench.assign([0, 2])
    assert bench.aborted == [b"leaves"]
    bench.end("stays")
    await draining
    assert bench.watermark(0) == 1


async def test_a_handler_that_raises_is_told_to_the_worker_and_acknowledges_nothing() -> None:
    bench = Bench()

    class Broken:
        def is_sound(self, delivery: Delivery) -> bool:
            return True

        async def __call__(self, job: Job) -> bool:
            raise RuntimeError("broken")

    failures: list[BaseException] = []
    dispatcher = Dispatcher(
        bench.feed, Broken(), bench.recall, slot_count=1, slots_per_partition=1, on_failure=failures.append
    )
    bench.dispatcher = dispatcher
    await bench.assign([0])
    bench.deliver(0, "a")
    await settle()
    assert [type(error) for error in failures] == [RuntimeError]
    assert (bench.watermark(0), dispatcher.running_count) == (0, 0)


async def test_memory_stays_flat_however_much_is_offered_while_the_feed_obeys() -> None:
    bench = Bench(slots=2, per_partition=1, look_ahead=8)
    await bench.assign([0, 1])
    most = 0
    for number in range(100_000):
        partition = number % 2
        if partition not in bench.feed.held:
            bench.deliver(partition, f"{number}")
        most = max(most, bench.dispatcher.waiting_count)
    assert most <= 2 * 8
    await bench.dispatcher.drain(0)


async def test_after_a_crash_only_as_many_requests_as_there_are_slots_are_under_suspicion() -> None:
    bench = Bench(slots=4, per_partition=2, look_ahead=10)
    bench.offsets[0] = 0
    bench.committer.assign({})
    standings = {0: Standing(Commit(0, "dead-1-c held 1"), 0, 100)}
    bench.committer.assign(standings)
    bench.generation = 1
    bench.dispatcher.resume(1, {0: Tenure(bench.committer.ledger(0), stayed=False)})
    await settle()
    bench.deliver(0, "a", "b", "c")
    await settle()
    bench.end("a", "b")
    await settle()
    assert [bench.jobs[key].crash_count for key in (b"a", b"b", b"c")] == [2, 2, 0]
