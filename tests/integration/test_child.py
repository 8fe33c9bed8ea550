"""Child processes: one order each, records back to the worker, and never alive without it."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import textwrap

import pytest

from contracts.attempt import Attempt
from contracts.codec import Origin
from contracts.events import TaskCancelled, TaskSucceeded
from contracts.lifecycle import TaskState, VersionStage, VersionState
from contracts.task import OwnerId
from stream_processors.errors import ChildDied, ChildNotStarted
from stream_processors.order import Order, WrittenOrder
from stream_processors.suspect import ChildLane
from tests.support.memory_publisher import MemoryPublisher
from tests.support.worker import a_request

COMMAND = (sys.executable, "-m", "tests.support.scripted_child")


def an_order(notes: str, *, known: TaskState | None = None, end_seconds: float = 60) -> Order:
    request = a_request(notes, version_count=2, end_seconds=end_seconds)
    state = known or TaskState(request.task_id)
    return Order(request, state, Attempt(3, 30), Origin(OwnerId("owner"), "tests"))


async def test_a_child_writes_what_the_worker_would_have_written() -> None:
    publisher = MemoryPublisher()
    order = an_order("good")
    position = await ChildLane(publisher, child_count=1, command=COMMAND)(order)
    assert isinstance(publisher.events[-1], TaskSucceeded)
    assert position.offset == len(publisher.records) - 1
    assert {event.attempt for event in publisher.events} == {order.attempt}
    assert {record.headers[2] for record in publisher.records} == {("ce_source", b"tests")}


async def test_a_child_knows_what_is_settled() -> None:
    publisher = MemoryPublisher()
    settled = VersionState(1, stage=VersionStage.COMPLETED, text="지난 글", characters=4, bytes=10)
    order = an_order("good", known=TaskState(a_request().task_id, started=True, versions=(settled,)))
    await ChildLane(publisher, child_count=1, command=COMMAND)(order)
    (end,) = publisher.of(TaskSucceeded)
    assert end.versions[0].text == "지난 글"


async def test_a_child_that_dies_tells_how_and_what_it_had_come_to() -> None:
    publisher = MemoryPublisher()
    with pytest.raises(ChildDied) as died:
        await ChildLane(publisher, child_count=1, command=COMMAND)(an_order("[[poison]]"))
    assert died.value.exit_status == -signal.SIGKILL
    assert not publisher.of(TaskSucceeded)


async def test_a_child_is_cancelled_from_outside() -> None:
    publisher = MemoryPublisher()
    order = an_order("[[pieces=50 pause=1]]")
    running = asyncio.create_task(ChildLane(publisher, child_count=1, command=COMMAND)(order))
    async with asyncio.timeout(30):
        while not publisher.records:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.01)
    order.cancelled.set()
    await running
    assert isinstance(publisher.events[-1], TaskCancelled)


async def test_a_child_behind_its_deadline_ends_its_task_in_time() -> None:
    publisher = MemoryPublisher()
    order = an_order("[[pieces=50 pause=1]]", end_seconds=2)
    async with asyncio.timeout(30):
        await ChildLane(publisher, child_count=1, command=COMMAND)(order)
    assert publisher.events[-1].terminal


async def test_a_child_that_cannot_start_is_not_its_tasks_fault() -> None:
    lane = ChildLane(MemoryPublisher(), child_count=1, command=(sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(ChildNotStarted):
        await lane(an_order("good"))


async def test_a_child_whose_worker_lets_go_of_it_is_killed() -> None:
    publisher = MemoryPublisher()
    running = asyncio.create_task(
        ChildLane(publisher, child_count=1, command=COMMAND)(an_order("[[pieces=9 pause=5]]"))
    )
    async with asyncio.timeout(30):
        while not publisher.records:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_a_child_does_not_outlive_a_killed_worker() -> None:
    order = WrittenOrder.of(an_order("[[pieces=50 pause=1]]")).model_dump_json()
    script = textwrap.dedent(
        """
        import subprocess, sys, time
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.scripted_child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        child.stdin.write(b'{"order":' + sys.argv[1].encode() + b'}\\n')
        child.stdin.flush()
        child.stdout.readline()
        print(child.pid, flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script, order], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        watch = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            assert_ended(watch)
        finally:
            os.close(watch)


def assert_ended(watch: int) -> None:
    assert select.select([watch], [], [], 10)[0], "the child is still there"


def test_a_child_imports_neither_faust_nor_a_kafka_client() -> None:
    script = (
        "import stream_processors.child, sys\n"
        "print(*sorted({'faust', 'mode', 'aiokafka', 'confluent_kafka'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
