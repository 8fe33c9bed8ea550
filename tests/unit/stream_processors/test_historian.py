"""How a partition's log is read on behind what was folded of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

from contracts.attempt import Attempt
from contracts.codec import Origin, encode_event
from contracts.events import Event, TaskStarted, TaskSucceeded
from contracts.task import OwnerId, TaskId
from contracts.topics import Topics
from stream_processors.errors import LogStalled
from stream_processors.historian import PartitionTail
from stream_processors.log_reader import LogReader, LogRecord
from stream_processors.takeover import PartitionFold
from tests.support.relay_events import NOW, TaskStory

TASK, OTHER = (TaskId(f"{number:032x}") for number in range(2))


class GrowingLog:
    """One partition; every read takes a turn of the loop and is counted."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.starts: list[int] = []

    def write(self, *events: Event) -> None:
        for event in events:
            record = encode_event(event, Origin(OwnerId("owner"), "tests"))
            self.records.append(LogRecord(len(self.records), 0, record.key, record.value, record.headers))

    async def read(self, topic: str, partition: int, start: int) -> AsyncGenerator[list[LogRecord], None]:
        self.starts.append(start)
        await asyncio.sleep(0)
        if batch := self.records[start:]:
            yield batch


def tail_of(log: GrowingLog, next_offset: int) -> PartitionTail:
    return PartitionTail(cast("LogReader", log), Topics(), 0, PartitionFold(), next_offset)


async def test_what_was_written_behind_the_fold_is_known_and_what_has_ended_is_told() -> None:
    log, story = GrowingLog(), TaskStory(TASK)
    log.write(story.accepted())
    tail = tail_of(log, 1)
    log.write(story.started(), story.completed("글"))
    log.write(TaskSucceeded(task_id=OTHER, attempt=Attempt(1, 1), sequence=0, ended_at=NOW))
    log.write(TaskStarted(task_id=TASK, attempt=Attempt(2, 1), sequence=0))
    known = await tail.recall(TASK.encode(), 4)
    assert known is not None
    assert [version.text for version in known.state.versions if version.settled] == ["글"]
    assert await tail.recall(OTHER.encode(), 4) is None
    assert log.starts == [1]


async def test_many_that_ask_at_once_cost_one_reading() -> None:
    log = GrowingLog()
    log.write(*(TaskStory(TaskId(f"{number:032x}")).started() for number in range(9)))
    tail = tail_of(log, 0)
    found = await asyncio.gather(*(tail.recall(record.key or b"", record.offset) for record in log.records))
    assert [known.attempt_count for known in found if known] == [1] * 9
    assert log.starts == [0]
    log.write(TaskStory(TASK, Attempt(5, 5)).started())
    assert await tail.recall(TASK.encode(), 9)
    assert log.starts == [0, 9]


async def test_those_who_waited_for_a_reading_that_fails_share_its_failure() -> None:
    class StalledLog(GrowingLog):
        async def read(self, topic: str, partition: int, start: int) -> AsyncGenerator[list[LogRecord], None]:
            self.starts.append(start)
            await asyncio.sleep(0)
            if self.starts:
                raise LogStalled("nothing comes")
            yield []

    log = StalledLog()
    tail = tail_of(log, 0)
    found = await asyncio.gather(*(tail.recall(b"k", 5) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [LogStalled] * 3
    assert log.starts == [0]
