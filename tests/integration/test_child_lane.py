"""What a child leaves behind: earlier versions, strange output, and what it must not tell."""

import asyncio
import sys
from dataclasses import replace

import pytest

from contracts.lifecycle import TaskState, VersionStage, VersionState
from stream_processors.errors import ChildDied
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
