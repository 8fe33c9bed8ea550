"""The projection of one partition, held to the reducer."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.attempt import OUTSIDE, Attempt
from contracts.codec import Origin, encode_event
from contracts.commands import Limit
from contracts.events import Event, Reason, TaskAccepted, TaskFailed, TaskStarted, TaskSucceeded
from contracts.lifecycle import Stage, fold
from contracts.results import TaskResult
from contracts.task import OwnerId, TaskId
from stream_processors.log_reader import LogRecord
from stream_processors.projector.projection import PartitionProjection
from stream_processors.projector.reaper import Overdue

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ORIGIN = Origin(OwnerId("owner"), "tests")
FIRST = Attempt(1, 1)
TASKS = [TaskId(f"{number:032x}") for number in range(4)]


def accepted(task: TaskId) -> TaskAccepted:
    return TaskAccepted(
        task_id=task,
        attempt=OUTSIDE,
        sequence=0,
        edition="2026.1",
        school_level="high",
        item="subject",
        versions=(),
        limit=Limit(characters=500, bytes=1500),
        accepted_at=NOW,
        start_deadline=NOW,
        end_deadline=NOW + timedelta(seconds=60),
    )


def record_of(event: Event, offset: int) -> LogRecord:
    record = encode_event(event, ORIGIN)
    return LogRecord(offset, offset, record.key, record.value, record.headers)


def project(projection: PartitionProjection, events: list[Event], start: int = 0) -> list[TaskResult]:
    endings = [projection.add(record_of(event, offset)) for offset, event in enumerate(events, start)]
    return [ending.result for ending in endings if ending is not None]


def succeeded(task: TaskId, attempt: Attempt = FIRST) -> TaskSucceeded:
    return TaskSucceeded(task_id=task, attempt=attempt, sequence=5, ended_at=NOW)


def failed(task: TaskId, attempt: Attempt = FIRST) -> TaskFailed:
    return TaskFailed(task_id=task, attempt=attempt, sequence=5, reason=Reason.INTERNAL, ended_at=NOW)


EVENTS = st.lists(
    st.sampled_from(TASKS).flatmap(
        lambda task: st.sampled_from(
            [
                accepted(task),
                TaskStarted(task_id=task, attempt=Attempt(1, 1), sequence=0),
                TaskStarted(task_id=task, attempt=Attempt(2, 1), sequence=0),
                succeeded(task, Attempt(2, 1)),
                failed(task),
            ]
        )
    ),
    max_size=30,
)


@given(EVENTS)
def test_each_ended_task_has_one_result_and_the_reducers_outcome(events: list[Event]) -> None:
    results = {result.task_id: result for result in project(PartitionProjection(0, 0, {}), events)}
    for task in TASKS:
        state = fold(task, [event for event in events if event.task_id == task])
        assert (task in results) == state.ended
        if state.ended:
            assert results[task].stage is state.stage
    terminal_count = sum(event.terminal for event in events)
    assert len(results) <= terminal_count


@given(EVENTS, st.integers(0, 30))
def test_a_successor_at_the_watermark_writes_exactly_the_results_that_are_missing(
    events: list[Event], killed_at: int
) -> None:
    first = PartitionProjection(0, 0, {})
    before = project(first, events[:killed_at])
    watermark = first.low_watermark
    ended = {result.task_id.encode(): 0 for result in before}
    after = project(PartitionProjection(0, watermark, ended), events[watermark:], watermark)
    whole = project(PartitionProjection(0, 0, {}), events)
    assert [*before, *after] == whole


def test_a_task_that_was_never_accepted_still_gets_its_result() -> None:
    (result,) = project(PartitionProjection(3, 0, {}), [failed(TASKS[0])])
    assert (result.stage, result.accepted_at, result.position) == (Stage.FAILED, None, "3-0")


def test_records_that_cannot_be_read_are_counted_and_no_end() -> None:
    projection = PartitionProjection(0, 0, {})
    broken = record_of(succeeded(TASKS[0]), 0)
    assert projection.add(LogRecord(0, 0, broken.key, b"{", broken.headers)) is None
    assert projection.add(LogRecord(1, 1, b"x", b"y", [])) is None
    assert projection.add(LogRecord(2, 2, None, b"y", [])) is None
    assert projection.unreadable_count == 2
    assert len(project(projection, [succeeded(TASKS[0])], 3)) == 1


def test_only_open_tasks_behind_their_deadline_are_overdue() -> None:
    projection = PartitionProjection(0, 0, {})
    started = TaskStarted(task_id=TASKS[1], attempt=Attempt(1, 1), sequence=0)
    project(projection, [accepted(TASKS[0]), accepted(TASKS[1]), started, succeeded(TASKS[0])])
    assert projection.overdue(NOW + timedelta(seconds=60)) == []
    assert projection.overdue(NOW + timedelta(seconds=61)) == [Overdue(TASKS[1], ORIGIN.owner, 1, True)]


def test_an_ended_task_is_forgotten_after_its_window_unless_it_would_be_read_again() -> None:
    projection = PartitionProjection(0, 0, {})
    project(projection, [accepted(TASKS[0]), succeeded(TASKS[0]), accepted(TASKS[1]), succeeded(TASKS[2])])
    projection.forget(before_ms=10)
    assert project(projection, [failed(TASKS[2])], 4) == []  # the open task at 2 holds it
    assert len(project(projection, [failed(TASKS[0])], 5)) == 1
