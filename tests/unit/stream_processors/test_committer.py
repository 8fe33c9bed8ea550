"""The committer: never past a request that was delivered and has not ended, in whatever order things happen."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stream_processors.committer import HANDED_OVER, HELD, Commit, Committer, Ledger, Standing

ME = "worker-1-abc"
PARTITIONS = (0, 1)


def standing(commit: Commit | None = None, *, beginning: int = 0, end: int = 1000) -> Standing:
    return Standing(commit, beginning, end)


def test_the_watermark_is_the_oldest_request_that_has_not_ended() -> None:
    ledger = Ledger(standing())
    for offset in (3, 4, 7):  # holes are no requests
        assert ledger.take(offset)
    ledger.acknowledge(4)
    assert ledger.low_watermark == 3
    ledger.acknowledge(3)
    assert ledger.low_watermark == 7
    ledger.acknowledge(7)
    assert ledger.low_watermark == 8


def test_a_request_is_not_taken_up_twice() -> None:
    ledger = Ledger(standing(Commit(5, "x held 0")))
    assert [ledger.take(offset) for offset in (4, 5, 5, 6)] == [False, True, False, True]


def test_a_partition_stays_only_if_the_broker_holds_what_was_committed_here() -> None:
    committer = Committer(ME)
    assert committer.assign({0: standing()}) == {0: False}
    due = committer.due([0])
    committer.confirm(due)
    assert committer.assign({0: standing(due[0])}) == {0: True}
    assert committer.assign({0: standing(Commit(0, f"other {HELD} 0"))}) == {0: False}


def test_a_commit_whose_answer_was_lost_is_recognised_either_way() -> None:
    for arrived in (True, False):
        committer = Committer(ME)
        committer.assign({0: standing()})
        first = committer.due([0])
        committer.confirm(first)
        committer.ledger(0).take(0)
        committer.ledger(0).acknowledge(0)
        second = committer.due([0])
        committer.fail()
        assert committer.assign({0: standing(second[0] if arrived else first[0])}) == {0: True}


def test_a_commit_is_due_until_the_broker_holds_it() -> None:
    committer = Committer(ME)
    committer.assign({0: standing()})
    due = committer.due([0])
    committer.fail()
    assert (committer.due([0]), committer.failure_count) == (due, 1)
    committer.confirm(due)
    assert (committer.due([0]), committer.failure_count) == ({}, 0)


def test_only_partitions_that_are_asked_for_and_held_are_due() -> None:
    committer = Committer(ME)
    committer.assign({0: standing(), 1: standing()})
    assert set(committer.due([1, 7])) == {1}


def test_a_mark_counts_crashes_and_a_handover_neither_counts_nor_forgives() -> None:
    assert standing(None).crash_count == 0
    assert standing(Commit(0, "a held 0")).crash_count == 1
    assert standing(Commit(0, "a held 1")).crash_count == 2
    assert standing(Commit(0, "a handed-over 1")).crash_count == 1
    assert standing(Commit(0, "somebody's own words")).crash_count == 0


def test_crashes_are_forgotten_when_everything_that_may_have_caused_them_has_ended() -> None:
    ledger = Ledger(standing(Commit(0, "a held 1"), end=3))
    for offset in range(5):
        ledger.take(offset)
    assert [ledger.crash_count(offset) for offset in range(5)] == [2, 2, 2, 0, 0]
    assert ledger.commit(ME, handing_over=False).mark == f"{ME} {HELD} 2"
    for offset in range(3):
        ledger.acknowledge(offset)
    assert ledger.commit(ME, handing_over=True) == Commit(3, f"{ME} {HANDED_OVER} 0")


def test_nothing_behind_the_slots_is_on_probation() -> None:
    ledger = Ledger(standing(Commit(0, "a held 2"), end=500))
    ledger.end_probation(20)
    ledger.end_probation(40)
    assert [ledger.crash_count(offset) for offset in (19, 20)] == [3, 0]


@given(st.integers(0, 50), st.integers(0, 50))
def test_work_never_begins_before_the_oldest_record_there_is(committed: int, beginning: int) -> None:
    found = standing(Commit(committed, "a held 0"), beginning=beginning)
    assert found.offset == max(committed, beginning)


@dataclass
class Broker:
    """What the broker keeps, and what has truly ended."""

    commits: dict[int, Commit] = field(default_factory=dict)
    ended: dict[int, set[int]] = field(default_factory=lambda: {partition: set() for partition in PARTITIONS})
    delivered: dict[int, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))


class Machine(RuleBasedStateMachine):
    """Two workers share two partitions; requests are delivered, end, and are committed, and owners change."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = Broker()
        self.workers = [Committer("one-1-a"), Committer("two-2-b")]
        self.owners: dict[int, int] = {}
        self.running: list[tuple[int, int, Ledger]] = []

    @rule(assignment=st.tuples(*(st.sampled_from([0, 1]) for _ in PARTITIONS)))
    def rebalance(self, assignment: tuple[int, ...]) -> None:
        self.owners = dict(zip(PARTITIONS, assignment, strict=True))
        for number, worker in enumerate(self.workers):
            mine = [partition for partition, owner in self.owners.items() if owner == number]
            worker.assign({partition: standing(self.broker.commits.get(partition)) for partition in mine})
        held = [self.ledger(partition) for partition in PARTITIONS]
        self.running = [run for run in self.running if any(run[2] is ledger for ledger in held)]

    def ledger(self, partition: int) -> Ledger:
        return self.workers[self.owners[partition]].ledger(partition)

    @precondition(lambda self: self.owners)
    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 3))
    def deliver(self, partition: int, count: int) -> None:
        for _ in range(count):
            ledger = self.ledger(partition)
            offset = ledger.next_offset
            assert ledger.take(offset)
            self.running.append((partition, offset, ledger))
            self.broker.delivered[partition] = max(self.broker.delivered[partition], offset + 1)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        partition, offset, ledger = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.broker.ended[partition].add(offset)
        ledger.acknowledge(offset)

    @precondition(lambda self: self.owners)
    @rule(number=st.sampled_from([0, 1]), outcome=st.sampled_from(["told", "lost", "refused"]), bye=st.booleans())
    def commit(self, number: int, outcome: str, bye: bool) -> None:
        worker = self.workers[number]
        worker.handing_over = bye
        due = worker.due([partition for partition, owner in self.owners.items() if owner == number])
        if outcome != "refused":
            self.broker.commits.update(due)
        if outcome == "told":
            worker.confirm(due)
        else:
            worker.fail()

    @invariant()
    def nothing_that_has_not_ended_is_committed(self) -> None:
        for partition, commit in self.broker.commits.items():
            assert set(range(commit.offset)) <= self.broker.ended[partition]
            assert commit.offset <= self.broker.delivered[partition]


TestAnyOrderOfDeliveriesEndsCommitsAndRebalances = Machine.TestCase
