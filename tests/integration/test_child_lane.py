"""What a child leaves behind: earlier versions, strange output, and what it must not tell."""

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest
from aiokafka.errors import KafkaConnectionError

from contracts.codec import Record
from contracts.cursor import Position
from contracts.events import TaskSucceeded
from contracts.lifecycle import TaskState, VersionStage, VersionState
from stream_processors.dispatcher import Known
from stream_processors.errors import ChildDied, TaskEnded
from stream_processors.suspect import ChildLane
from tests.integration.test_child import COMMAND, an_order
from tests.support.memory_publisher import MemoryPublisher


async def test_what_earlier_attempts_completed_is_not_lost_with_a_child() -> None:
    publisher = MemoryPublisher()
    settled = VersionState(1, stage=VersionStage.COMPLETED, text="지난 글", characters=4, bytes=10)
    order = an_order("good")
    order = replace(order, known=TaskState(order.request.task_id, started=True, versions=(settled,)))
    running = asyncio.create_task(ChildLane(publisher, child_count=1, command=KILLED_AFTER_START)(order))
    with pytest.raises(ChildDied) as died:
        await running
    assert publisher.records, "the child has written something"
    assert died.value.known.state.version(1).text == "지난 글"


KILLED_AFTER_START = (
    sys.executable,
    "-c",
    """
import os, signal, sys
from tests.support.scripted_model import scripted_services
from stream_processors import child
publish = child.PipePublisher.publish
async def dying(self, record):
    acknowledged = await publish(self, record)
    os.kill(os.getpid(), signal.SIGKILL)
    return acknowledged
child.PipePublisher.publish = dying
child.run_child(scripted_services, sys.stdin.buffer, sys.stdout.buffer)
""",
)


async def test_a_child_that_writes_nonsense_fails_its_task_and_not_its_worker() -> None:
    command = (
        sys.executable,
        "-c",
        "import sys; sys.stdin.readline(); print('{\"ready\":true}'); print(7, flush=True)",
    )
    with pytest.raises(ChildDied):
        await ChildLane(MemoryPublisher(), child_count=1, command=command)(an_order("good"))


async def test_a_child_that_breaks_keeps_its_notes_to_itself(capfd: pytest.CaptureFixture[str]) -> None:
    breaking = (
        sys.executable,
        "-c",
        """
import sys
from contextlib import asynccontextmanager
from contracts.events import VersionDelta
from stream_processors import child
from stream_processors.log_output import configure_logging
from tests.support.scripted_model import scripted_services
configure_logging("INFO")
async def broken(request, *_, **__):
    VersionDelta.model_validate({"text": request.notes})
child.execute = broken
child.run_child(scripted_services, sys.stdin.buffer, sys.stdout.buffer)
""",
    )
    with pytest.raises(ChildDied):
        await ChildLane(MemoryPublisher(), child_count=1, command=breaking)(an_order("SECRET NOTES"))
    assert "SECRET NOTES" not in capfd.readouterr().err


async def test_a_suspect_that_waits_for_its_turn_can_be_cancelled() -> None:
    publisher = MemoryPublisher()
    lane = ChildLane(publisher, child_count=1, command=COMMAND)
    first = asyncio.create_task(lane(an_order("[[pieces=50 pause=1]]")))
    while not publisher.records:  # noqa: ASYNC110 - another process writes them
        await asyncio.sleep(0.01)
    waiting = an_order("good")
    second = asyncio.create_task(lane(waiting))
    waiting.cancelled.set()
    done, _ = await asyncio.wait({second}, timeout=30)
    first.cancel()
    second.cancel()
    await asyncio.wait({first, second})
    assert done


async def test_a_child_that_has_done_well_gets_the_next_order() -> None:
    publisher = MemoryPublisher()
    lane = ChildLane(publisher, child_count=2, command=COMMAND, idle_seconds=60)
    orders = [an_order("good") for _ in range(3)]
    for order in orders:
        await lane(order)
    await lane.close()
    assert lane.started_count == 1
    ended = [event.task_id for event in publisher.events if event.terminal]
    assert ended == [order.request.task_id for order in orders]


async def test_a_child_that_waits_in_vain_is_ended() -> None:
    lane = ChildLane(MemoryPublisher(), child_count=1, command=COMMAND, idle_seconds=0.01)
    await lane(an_order("good"))
    async with asyncio.timeout(30):
        while lane.idle_count:  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.01)
    await lane(an_order("good"))
    await lane.close()
    assert lane.started_count == 2


async def test_only_a_new_child_proves_that_a_task_kills_it() -> None:
    publisher = MemoryPublisher()
    lane = ChildLane(publisher, child_count=1, command=COMMAND, idle_seconds=60)
    await lane(an_order("good"))
    poison = an_order("[[poison]]")
    with pytest.raises(ChildDied):
        await lane(poison)
    attempts = {event.attempt for event in publisher.events if event.task_id == poison.request.task_id}
    assert (len(attempts), lane.started_count, lane.idle_count) == (2, 2, 0)


async def test_a_cancellation_that_comes_late_does_not_hit_the_next_order() -> None:
    publisher = MemoryPublisher()
    lane = ChildLane(publisher, child_count=1, command=COMMAND, idle_seconds=60)
    first, second = an_order("good"), an_order("good")
    await lane(first)
    first.cancelled.set()
    await lane(second)
    await lane.close()
    assert [event.type for event in publisher.events if event.terminal] == ["task.succeeded"] * 2


async def test_a_child_keeps_what_others_settled_before_its_attempt_had_its_place() -> None:
    publisher = MemoryPublisher()
    order = an_order("good")
    settled = VersionState(1, stage=VersionStage.COMPLETED, text="남이 쓴 글", characters=6, bytes=14)

    async def recall(position: Position | None) -> Known:
        assert position is not None
        assert publisher.events[position.offset].type == "task.started"
        return Known(TaskState(order.request.task_id, started=True, versions=(settled,)), draft_counts={2: 1})

    await ChildLane(publisher, child_count=1, command=COMMAND)(replace(order, recall=recall))
    (end,) = publisher.of(TaskSucceeded)
    assert end.versions[0].text == "남이 쓴 글"
    assert [outcome.usage.call_count for outcome in end.versions] == [0, 2]


async def test_a_child_stops_when_others_have_ended_its_task_and_takes_the_next() -> None:
    async def recall(position: Position | None) -> Known:
        raise TaskEnded("ended")

    publisher = MemoryPublisher()
    lane = ChildLane(publisher, child_count=1, command=COMMAND, idle_seconds=60)
    with pytest.raises(TaskEnded):
        await lane(replace(an_order("good"), recall=recall))
    assert [event.type for event in publisher.events] == ["task.started"]
    await lane(an_order("good"))
    await lane.close()
    assert lane.started_count == 1


async def test_what_others_settled_is_not_lost_with_a_child_that_dies() -> None:
    publisher = MemoryPublisher()
    order = an_order("[[poison]]")
    settled = VersionState(2, stage=VersionStage.COMPLETED, text="남이 쓴 글", characters=6, bytes=14)

    async def recall(position: Position | None) -> Known:
        return Known(TaskState(order.request.task_id, started=True, versions=(settled,)), draft_counts={1: 1})

    with pytest.raises(ChildDied) as died:
        await ChildLane(publisher, child_count=1, command=COMMAND)(replace(order, recall=recall))
    assert died.value.known.state.version(2).text == "남이 쓴 글"
    assert died.value.known.draft_counts == {1: 2}


async def test_a_child_ends_when_kafka_refuses_what_it_writes() -> None:
    class Refusing(MemoryPublisher):
        async def publish(self, record: Record) -> "asyncio.Future[Position]":
            refused: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
            refused.set_exception(KafkaConnectionError())
            return refused

    with pytest.raises(KafkaConnectionError):
        await ChildLane(Refusing(), child_count=1, command=COMMAND)(an_order("good"))


async def test_children_that_wait_are_no_more_than_may_run() -> None:
    publisher = MemoryPublisher()
    lane = ChildLane(publisher, child_count=1, command=COMMAND, idle_seconds=60)
    first, second = an_order("good"), an_order("good")
    second.cancelled.set()  # needs no turn
    await asyncio.gather(lane(first), lane(second))
    assert lane.idle_count == 1
    await lane.close()


@pytest.mark.parametrize("line", [b'{"order": {"request"', b"nonsense\n", b'{"order": {}}\n'])
def test_a_child_that_hears_half_a_line_or_nonsense_ends_without_repeating_it(line: bytes) -> None:
    done = subprocess.run(COMMAND, input=line, capture_output=True, timeout=60, check=False)
    assert done.returncode in (70, 75)
    assert b"request" not in done.stderr
