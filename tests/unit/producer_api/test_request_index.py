from dataclasses import replace
from datetime import UTC, datetime, timedelta

from contracts.commands import Limit
from contracts.cursor import Position
from contracts.task import OwnerId, TaskId
from producer_api.accepted_task import AcceptedTask
from producer_api.request_index import RequestIndex

NOW = datetime(2026, 4, 1, tzinfo=UTC)
WINDOW = timedelta(hours=24)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


def task(name: str, offset: int = 0, accepted_at: datetime = NOW) -> AcceptedTask:
    return AcceptedTask(
        task_id=TaskId(name),
        owner=OwnerId("o"),
        digest=b"",
        start=Position(0, 0),
        position=Position(0, offset),
        accepted_at=accepted_at,
        start_deadline=accepted_at,
        end_deadline=accepted_at,
        limit=Limit(characters=1, bytes=1),
        versions=(),
    )


def test_the_first_request_with_an_id_is_the_one() -> None:
    index = RequestIndex(WINDOW, 10, Clock())
    index.note(task("a", 5))
    index.note(replace(task("a", 9), digest=b"other"))
    assert index.find(TaskId("a")) == task("a", 5)


def test_a_request_that_turns_out_to_be_earlier_in_the_log_replaces_the_later_one() -> None:
    index = RequestIndex(WINDOW, 10, Clock())
    index.note(task("a", 9))
    index.note(replace(task("a", 5), digest=b"first"))
    found = index.find(TaskId("a"))
    assert found is not None
    assert found.digest == b"first"


def test_a_task_older_than_the_window_is_not_found_and_then_forgotten() -> None:
    clock = Clock()
    index = RequestIndex(WINDOW, 10, clock)
    index.note(task("a"))
    clock.time = NOW + WINDOW
    assert index.find(TaskId("a")) is None
    index.note(task("b", accepted_at=clock.time))
    assert len(index) == 1


def test_after_the_window_the_same_id_is_a_new_task() -> None:
    clock = Clock()
    index = RequestIndex(WINDOW, 10, clock)
    index.note(task("a", 5))
    clock.time = NOW + WINDOW
    newer = task("a", 90, clock.time)
    index.note(newer)
    assert index.find(TaskId("a")) == newer


def test_beyond_the_bound_the_oldest_are_forgotten() -> None:
    index = RequestIndex(WINDOW, 3, Clock())
    for offset in range(10):
        index.note(task(str(offset), offset))
    assert len(index) == 3
    assert index.find(TaskId("6")) is None
    assert index.find(TaskId("7")) is not None
