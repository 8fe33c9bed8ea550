"""Whatever happens in whatever order: a subscriber gets exactly what is behind its cursor."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.attempt import Attempt
from contracts.cursor import Cursor, Position, parse_composite_cursor, parse_cursor
from contracts.events import Event
from contracts.lifecycle import TaskState, Verdict, judge, reduce
from contracts.snapshot import encode_snapshot
from contracts.task import OwnerId, TaskId
from sse_relay.hub import Hub
from sse_relay.log import TaskLog
from sse_relay.seats import Seats
from sse_relay.subscriber import OwnerSubscriber, Subscriber, TaskSubscriber
from sse_relay.tally import Tally
from tests.support.event_stream import StreamEvent, read_all
from tests.support.relay_events import TaskStory, message
from tests.support.stream_transport import MemoryTransport

TASKS = [TaskId(f"{number:032x}") for number in range(4)]
PARTITIONS = 2
OWNER = OwnerId("owner")


@dataclass
class Truth:
    """What a task's log holds by the rules alone: offset, type and the state up to there of each record that counts."""

    task_id: TaskId
    partition: int
    state: TaskState
    story: TaskStory
    records: list[tuple[int, str, TaskState]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.state.ended

    def take(self, offset: int, event: Event) -> None:
        _, verdict = judge(self.state.progress, event.attempt, event.sequence, terminal=event.terminal)
        self.state = reduce(self.state, event)
        if verdict is Verdict.APPLY:
            self.records.append((offset, event.type, self.state))

    def after(self, offset: int) -> list[tuple[int, str]]:
        return [(at, kind) for at, kind, _ in self.records if at > offset]

    def state_at(self, offset: int) -> TaskState:
        return next(state for at, _, state in self.records if at == offset)

    def cursor_at(self, offset: int) -> Cursor:
        end = offset == self.records[-1][0] and self.state_at(offset).ended
        return Cursor(Position(self.partition, offset), end=end)


@dataclass
class Viewer:
    transport: MemoryTransport
    subscriber: Subscriber
    resumed_from: Any


class Delivery(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub(range(PARTITIONS), Seats(1000, 1000), Tally(), max_bytes=40_000, max_task_bytes=12_000)
        self.offsets = [0] * PARTITIONS
        self.truths = [
            Truth(task, number % PARTITIONS, TaskState(task), TaskStory(task)) for number, task in enumerate(TASKS)
        ]
        self.batch: list[Any] = []
        self.viewers: list[Viewer] = []
        self.owner_viewers: list[Viewer] = []

    # What is written to Kafka

    def _write(self, truth: Truth, event: Event) -> None:
        offset = self.offsets[truth.partition]
        self.offsets[truth.partition] += 1
        self.batch.append(message(event, truth.partition, offset, OWNER))
        truth.take(offset, event)

    @rule(number=st.integers(0, 3), count=st.integers(1, 5), size=st.sampled_from([1, 30, 3000]))
    def progress(self, number: int, count: int, size: int) -> None:
        truth = self.truths[number]
        if not truth.records:
            self._write(truth, truth.story.accepted())
            self._write(truth, truth.story.started())
        for _ in range(count):
            self._write(truth, truth.story.delta("글" * size, version=1 + size % 2))

    @rule(number=st.integers(0, 3))
    def repeat(self, number: int) -> None:
        truth = self.truths[number]
        if truth.records:
            story = TaskStory(truth.task_id, truth.story.attempt)
            self._write(truth, story.started())
            self._write(truth, story.delta("다시"))

    @rule(number=st.integers(0, 3), version=st.integers(1, 2))
    def torn(self, number: int, version: int) -> None:
        """Words that never reached Kafka, then some that seem to come too early."""
        truth = self.truths[number]
        if truth.records:
            truth.story.delta("잃은 말", version)
            early = truth.story.delta("이른 말", version)
            self._write(truth, early.model_copy(update={"offset": early.offset - 4}))

    @rule(number=st.integers(0, 3), version=st.integers(1, 2))
    def settle(self, number: int, version: int) -> None:
        if self.truths[number].records:
            self._write(self.truths[number], self.truths[number].story.replaced("바뀐 글", version))
            self._write(self.truths[number], self.truths[number].story.completed("끝난 글", version))

    @rule(number=st.integers(0, 3))
    def zombie(self, number: int) -> None:
        if self.truths[number].records:
            self._write(self.truths[number], TaskStory(TASKS[number], Attempt(0, 7)).delta("유령"))

    @rule(number=st.integers(0, 3))
    def new_attempt(self, number: int) -> None:
        truth = self.truths[number]
        if truth.records:
            generation = truth.story.attempt.generation + 1
            self._write(truth, truth.story.begin_attempt(Attempt(generation, 1)))

    @rule(number=st.integers(0, 3), outcomes=st.booleans())
    def finish(self, number: int, outcomes: bool) -> None:
        truth = self.truths[number]
        if truth.records:
            self._write(truth, truth.story.succeeded(outcomes=outcomes))

    @rule()
    def hole(self) -> None:
        self.offsets[0] += 3

    # What the relay does

    @rule()
    def deliver(self) -> None:
        batch, self.batch = self.batch, []
        self.hub.take(batch)

    def _log(self, truth: Truth) -> TaskLog | None:
        return self.hub.find(truth.task_id, truth.partition)

    @rule(number=st.integers(0, 3), kernel=st.sampled_from([0, 500, 1 << 30]))
    def join(self, number: int, kernel: int) -> None:
        if log := self._log(self.truths[number]):
            self._connect(log, None, kernel)

    @rule(number=st.integers(0, 3), back=st.integers(0, 30), kernel=st.sampled_from([0, 1 << 30]))
    def resume(self, number: int, back: int, kernel: int) -> None:
        log = self._log(self.truths[number])
        known = [at for at, _, _ in self.truths[number].records if log and at <= log.last]
        if log and known:
            self._connect(log, known[max(0, len(known) - 1 - back)], kernel)

    def _connect(self, log: TaskLog, seen: int | None, kernel: int) -> None:
        transport = MemoryTransport(kernel, high_bytes=2000)
        subscriber = TaskSubscriber(self.hub, self.hub.seats.take(OWNER), 1e9, log, seen)
        self.viewers.append(Viewer(transport, subscriber, seen))
        transport.connect(subscriber)

    @rule(kernel=st.sampled_from([0, 1 << 30]))
    def join_owner(self, kernel: int) -> None:
        self._connect_owner(None, kernel)

    @rule(which=st.integers(0, 10), kernel=st.sampled_from([0, 1 << 30]))
    @precondition(lambda self: self.owner_viewers)
    def resume_owner(self, which: int, kernel: int) -> None:
        """A browser comes back with the last id that it has seen."""
        old = self.owner_viewers[which % len(self.owner_viewers)]
        events = [event for event in read_all(bytes(old.transport.received)) if event.last_event_id]
        if events:
            self._connect_owner(dict(parse_composite_cursor(events[-1].last_event_id).offsets), kernel)

    def _connect_owner(self, seen: dict[int, int] | None, kernel: int) -> None:
        transport = MemoryTransport(kernel, high_bytes=2000)
        owner = self.hub.owner(OWNER)
        subscriber = OwnerSubscriber(self.hub, self.hub.seats.take(OWNER), 1e9, owner, seen and dict(seen))
        self.owner_viewers.append(Viewer(transport, subscriber, seen))
        transport.connect(subscriber)

    @rule(which=st.integers(0, 30), size=st.sampled_from([10, 1000, 100_000]))
    def read(self, which: int, size: int) -> None:
        everybody = self.viewers + self.owner_viewers
        if everybody:
            everybody[which % len(everybody)].transport.read(size)

    @rule(which=st.integers(0, 30))
    def cut(self, which: int) -> None:
        everybody = self.viewers + self.owner_viewers
        if everybody:
            everybody[which % len(everybody)].transport.abort()

    # What must hold

    @invariant()
    def memory_is_accounted_for(self) -> None:
        logs = [log for partition in self.hub.partitions.values() for log in partition.logs.values()]
        assert self.hub.history.size_bytes == sum(log.size_bytes for log in logs)
        assert all(len(log.frames) == len(log.offsets) for log in logs)

    @invariant()
    def no_write_is_larger_than_a_chunk_and_one_frame(self) -> None:
        assert all(size < 2 * 65_536 for viewer in self.viewers for size in viewer.transport.writes)

    def teardown(self) -> None:
        self.deliver()
        for viewer in self.viewers:
            cut = viewer.transport.lost and not viewer.subscriber.log.ended  # type: ignore[attr-defined]  # a task's
            viewer.transport.read_everything()
            self._check(viewer, cut=cut or viewer.transport.lost)
        for viewer in self.owner_viewers:
            viewer.transport.read_everything()
            self._check_owner(viewer, cut=viewer.transport.lost)

    def _check(self, viewer: Viewer, *, cut: bool) -> None:
        log = viewer.subscriber.log  # type: ignore[attr-defined]  # a TaskSubscriber
        truth = next(truth for truth in self.truths if truth.task_id == log.task_id)
        position, gap_before = viewer.resumed_from, False
        for event in read_all(bytes(viewer.transport.received)):
            if event.type == "gap":
                assert position is not None, "a first connection has no gap"
                gap_before = True
            elif event.type == "snapshot":
                assert position is None or gap_before
                position, gap_before = self._check_snapshot(truth, event, event.last_event_id), False
            else:
                cursor = parse_cursor(event.last_event_id)
                assert (cursor.position.offset, event.type) == truth.after(-1 if position is None else position)[0]
                assert cursor == truth.cursor_at(cursor.position.offset)
                position = cursor.position.offset
        if not cut:
            assert not truth.ended
            assert position == truth.records[-1][0]
        elif viewer.transport.closed and truth.ended and position == truth.records[-1][0]:
            assert viewer.subscriber.closing

    def _check_owner(self, viewer: Viewer, *, cut: bool) -> None:
        seen: dict[int, int] | None = viewer.resumed_from and dict(viewer.resumed_from)
        snapshots: dict[int, int] = {}
        for event in read_all(bytes(viewer.transport.received)):
            if event.type == "gap":
                snapshots = {}
            elif event.type == "snapshot":
                truth = next(truth for truth in self.truths if truth.task_id == event.json["task_id"])
                offset = self._check_snapshot(truth, event, event.json["cursor"])
                snapshots[truth.partition] = max(offset, snapshots.get(truth.partition, -1))
            elif event.type == "synced":
                seen = dict(parse_composite_cursor(event.last_event_id).offsets) if event.last_event_id else {}
                assert all(seen.get(number, -1) >= offset for number, offset in snapshots.items())
            else:
                assert seen is not None
                cursor = dict(parse_composite_cursor(event.last_event_id).offsets)
                (number,) = [number for number in cursor if cursor[number] != seen.get(number)]
                assert (cursor[number], event.type) == self._after_in(number, seen.get(number, -1))[0]
                seen = cursor
        if not cut:
            assert seen is not None
            assert all(not self._after_in(number, seen.get(number, -1)) for number in range(PARTITIONS))

    def _after_in(self, partition: int, offset: int) -> list[tuple[int, str]]:
        return sorted(item for truth in self.truths if truth.partition == partition for item in truth.after(offset))

    def _check_snapshot(self, truth: Truth, event: StreamEvent, cursor_text: str) -> int:
        cursor = parse_cursor(cursor_text)
        assert event.json["cursor"] == cursor_text
        expected = encode_snapshot(truth.state_at(cursor.position.offset), cursor, overdue=False)
        assert event.json == json.loads(expected)
        return cursor.position.offset


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
