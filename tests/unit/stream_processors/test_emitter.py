import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.attempt import Attempt
from contracts.cursor import Position
from contracts.events import (
    Phase,
    Reason,
    TaskFailed,
    TaskStarted,
    VersionDelta,
    VersionFailed,
    VersionPhase,
    VersionReplaced,
)
from stream_processors.delta_pace import DeltaPace
from stream_processors.emitter import Emitter
from stream_processors.errors import EmitterEnded
from tests.support.clock import VirtualTimeLoop, at, virtual_time
from tests.support.generation import ORIGIN, TASK_ID
from tests.support.memory_publisher import MemoryPublisher


def an_emitter(publisher: MemoryPublisher, pace: DeltaPace | None = None) -> Emitter:
    return Emitter(publisher, TASK_ID, Attempt(2, 7), ORIGIN, pace=pace)


async def finish(emitter: Emitter) -> Position:
    return await emitter.finish(TaskFailed, reason=Reason.INTERNAL, ended_at=at(0))


def deltas(publisher: MemoryPublisher, version: int = 1) -> list[tuple[int, str]]:
    return [(event.offset, event.text) for event in publisher.of(VersionDelta, version=version)]


@virtual_time
async def test_the_first_delta_goes_out_at_once_and_the_next_are_joined_for_50_ms() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    for piece in "가나다라마바":
        await emitter.delta(1, piece)
        await asyncio.sleep(0.019)
    await finish(emitter)
    assert deltas(publisher) == [(0, "가"), (1, "나다"), (3, "라마바")]
    times = [
        time for time, event in zip(publisher.times, publisher.events, strict=True) if event.type == "version.delta"
    ]
    assert times == pytest.approx([0.0, 0.05, 0.1])


@virtual_time
async def test_text_is_joined_longer_while_many_versions_stream_and_the_first_of_each_goes_out_at_once() -> None:
    pace = DeltaPace(records_per_second=20)
    others = an_emitter(MemoryPublisher(), pace)
    for version in (1, 2, 3):
        await others.delta(version, "가")
    emitter = an_emitter(publisher := MemoryPublisher(), pace)
    for piece in "가나다라마바사아":
        await emitter.delta(1, piece)
        await asyncio.sleep(0.03)
    assert deltas(publisher) == [(0, "가"), (1, "나다라마바사")]
    assert [round(time, 2) for time in publisher.times] == [0.0, 0.2]
    await finish(emitter)
    await others.abandon()


@virtual_time
async def test_versions_that_are_settled_or_whose_task_has_ended_take_no_share_of_the_pace() -> None:
    pace = DeltaPace(shortest_seconds=0.01, longest_seconds=1, records_per_second=1)
    emitter, other = an_emitter(MemoryPublisher(), pace), an_emitter(MemoryPublisher(), pace)
    for version in (1, 2, 3):
        await emitter.delta(version, "가")
        await other.delta(version, "가")
    assert pace.seconds == 1
    for version in (1, 2, 2):
        await emitter.emit(VersionFailed, version=version, reason=Reason.DEADLINE)
    await other.abandon()
    await finish(emitter)
    assert pace.seconds == 0.01


@pytest.mark.parametrize(("count", "seconds"), [(0, 0.05), (3, 0.05), (30, 0.05), (60, 0.1), (150, 0.25), (999, 0.25)])
def test_a_process_publishes_some_six_hundred_deltas_a_second_as_long_as_it_can(count: int, seconds: float) -> None:
    pace = DeltaPace()
    for _ in range(count):
        pace.join()
    assert pace.seconds == pytest.approx(seconds)


@virtual_time
async def test_two_hundred_characters_do_not_wait() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    await emitter.delta(1, "가")
    await asyncio.sleep(0.001)
    await emitter.delta(1, "나" * 150)
    await asyncio.sleep(0.001)
    assert len(deltas(publisher)) == 1
    await emitter.delta(1, "다" * 50)
    await asyncio.sleep(0.001)
    assert deltas(publisher)[1] == (1, "나" * 150 + "다" * 50)
    await emitter.abandon()


@virtual_time
async def test_another_event_of_the_version_lets_its_delta_out_first() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    await emitter.delta(1, "가")
    await emitter.delta(2, "나")
    await asyncio.sleep(0.001)
    await emitter.delta(1, "다")
    await emitter.delta(2, "라")
    await emitter.emit(VersionPhase, version=1, phase=Phase.CHECKING)
    await asyncio.sleep(0.001)
    assert [event.type for event in publisher.events] == ["version.delta"] * 3 + ["version.phase"]
    assert deltas(publisher, 2) == [(0, "나")]
    await finish(emitter)
    assert deltas(publisher, 2) == [(0, "나"), (1, "라")]
    assert publisher.events[-1].terminal


@virtual_time
async def test_offsets_begin_anew_behind_a_replaced_text() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    await emitter.delta(1, "가나다")
    await emitter.emit(VersionReplaced, version=1, text="라😀")
    await emitter.delta(1, "마")
    await finish(emitter)
    assert deltas(publisher) == [(0, "가나다"), (2, "마")]
    assert publisher.state(TASK_ID).version(1).text == "라😀마"


@virtual_time
async def test_deltas_are_joined_further_while_kafka_has_no_room() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    await emitter.delta(1, "가")
    await asyncio.sleep(0.001)
    publisher.has_room.clear()
    await emitter.emit(TaskStarted)
    for _ in range(20):
        await emitter.delta(1, "나" * 100)
        await asyncio.sleep(0.06)
    publisher.has_room.set()
    await finish(emitter)
    assert [event.type for event in publisher.events] == [
        "version.delta",
        "task.started",
        "version.delta",
        "task.failed",
    ]
    assert publisher.state(TASK_ID).version(1).text == "가" + "나" * 2000


@virtual_time
async def test_emit_waits_when_64_events_wait_for_kafka_and_a_cancelled_caller_leaves_no_hole() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    publisher.has_room.clear()
    callers = [asyncio.create_task(emitter.emit(TaskStarted)) for _ in range(70)]
    await asyncio.sleep(1)
    waiting = [caller for caller in callers if not caller.done()]
    assert len(waiting) == 5  # one is with the publisher, 64 are queued
    for caller in waiting:
        caller.cancel()
    await asyncio.wait(callers)
    publisher.has_room.set()
    await finish(emitter)
    assert [event.sequence for event in publisher.events] == list(range(66))


@virtual_time
async def test_finish_returns_when_everything_is_acknowledged() -> None:
    emitter = an_emitter(publisher := MemoryPublisher(seconds=0.3))
    started = await emitter.emit(TaskStarted)
    position = await finish(emitter)
    assert position == Position(0, 1)
    assert started.result() == Position(0, 0)
    assert publisher.acknowledged_count == 2
    assert asyncio.get_running_loop().time() == pytest.approx(0.3)


@virtual_time
async def test_nothing_follows_the_end() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    await finish(emitter)
    with pytest.raises(EmitterEnded):
        await emitter.emit(TaskStarted)
    with pytest.raises(EmitterEnded):
        await emitter.delta(1, "가")
    assert len(publisher.events) == 1


@virtual_time
async def test_an_abandoned_emitter_drops_what_it_holds() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    await emitter.delta(1, "가")
    await asyncio.sleep(0.001)
    await emitter.delta(1, "나")
    publisher.has_room.clear()
    acknowledged = await emitter.emit(TaskStarted)
    await emitter.abandon()
    publisher.has_room.set()
    await asyncio.sleep(1)
    assert len(publisher.records) == 1
    assert acknowledged.exception() is not None


@virtual_time
async def test_a_record_that_cannot_be_published_ends_the_attempt() -> None:
    emitter = an_emitter(publisher := MemoryPublisher())
    await emitter.emit(TaskStarted)
    await asyncio.sleep(0.01)
    publisher.failure = ConnectionError("no broker")
    await emitter.emit(TaskStarted)
    await asyncio.sleep(0.01)
    with pytest.raises(ConnectionError):
        await emitter.emit(TaskStarted)
    with pytest.raises(ConnectionError):
        await finish(emitter)
    await emitter.abandon()


@virtual_time
async def test_an_acknowledgement_that_fails_ends_the_attempt() -> None:
    class Forgetful(MemoryPublisher):
        async def publish(self, record: object) -> "asyncio.Future[Position]":
            refused: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
            refused.set_exception(ConnectionError("not written"))
            return refused

    emitter = an_emitter(Forgetful())
    await emitter.emit(TaskStarted)
    with pytest.raises(ConnectionError):
        await finish(emitter)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("delta"), st.integers(1, 3), st.text("가나다😀 \n", min_size=0, max_size=120)),
        st.tuples(st.just("replace"), st.integers(1, 3), st.text("라마", max_size=5)),
        st.tuples(st.just("phase"), st.integers(1, 3), st.just("")),
        st.tuples(st.just("wait"), st.sampled_from([1, 20, 50, 200]), st.just("")),
        st.tuples(st.just("room"), st.integers(0, 1), st.just("")),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_sequences_have_no_holes_and_readers_see_the_text(
    steps: list[tuple[str, int, str]],
) -> None:
    async def play() -> None:
        emitter = an_emitter(publisher := MemoryPublisher())
        texts = {1: "", 2: "", 3: ""}
        for kind, number, text in steps:
            match kind:
                case "delta":
                    texts[number] += text
                    await emitter.delta(number, text)
                case "replace":
                    texts[number] = text
                    await emitter.emit(VersionReplaced, version=number, text=text)
                case "phase":
                    await emitter.emit(VersionPhase, version=number, phase=Phase.DRAFTING)
                case "wait":
                    await asyncio.sleep(number / 1000)
                case "room":
                    publisher.has_room.set() if number else publisher.has_room.clear()
        publisher.has_room.set()
        await finish(emitter)
        state = publisher.state(TASK_ID)
        assert {number: state.version(number).text for number in texts} == texts
        assert [event.sequence for event in publisher.events] == list(range(len(publisher.events)))
        assert state.progress.hole_count == 0
        assert not any(event.text == "" for event in publisher.of(VersionDelta))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())
