"""Takeover: what a partition's log tells its new owner, against the reducer that every reader uses."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from contracts.attempt import OUTSIDE, Attempt
from contracts.codec import Origin, encode_event
from contracts.commands import Limit, VersionPlan
from contracts.events import Event as AnyEvent
from contracts.events import (
    TaskAccepted,
    TaskCancelled,
    TaskStarted,
    TaskSucceeded,
    VersionCompleted,
    VersionDelta,
)
from contracts.lifecycle import fold
from contracts.task import OwnerId, TaskId
from stream_processors.dispatcher import History
from stream_processors.takeover import PartitionFold, next_attempt

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ORIGIN = Origin(OwnerId("owner"), "tests")
TASKS = [TaskId(f"{number:032x}") for number in range(3)]


def accepted(task: TaskId) -> TaskAccepted:
    return TaskAccepted(
        task_id=task,
        attempt=OUTSIDE,
        sequence=0,
        edition="2026.1",
        school_level="high",
        item="subject",
        versions=(VersionPlan(version=1, viewpoint="inquiry", title="탐구"),),
        limit=Limit(characters=500, bytes=1500),
        accepted_at=NOW,
        start_deadline=NOW,
        end_deadline=NOW,
    )


def completed(task: TaskId, attempt: Attempt, sequence: int, version: int = 1) -> VersionCompleted:
    return VersionCompleted(
        task_id=task, attempt=attempt, sequence=sequence, version=version, text="글", characters=1, bytes=3
    )


def folded(*events: AnyEvent) -> PartitionFold:
    fold_ = PartitionFold()
    for event in events:
        record = encode_event(event, ORIGIN)
        fold_.add(record.key, record.value, record.headers)
    return fold_


def test_a_task_that_was_only_accepted_is_not_worth_remembering() -> None:
    assert folded(accepted(TASKS[0])).history().known == {}


def test_settled_versions_and_attempts_of_a_begun_task_are_known() -> None:
    task, first, second = TASKS[0], Attempt(1, 10), Attempt(2, 10)
    history = folded(
        accepted(task),
        TaskStarted(task_id=task, attempt=first, sequence=0),
        VersionDelta(task_id=task, attempt=first, sequence=1, version=1, offset=0, text="글"),
        completed(task, first, 2),
        TaskStarted(task_id=task, attempt=second, sequence=0, kept=(1,)),
        completed(task, first, 3, version=2),  # a zombie's
    ).history()
    known = history.known[task.encode()]
    assert (known.attempt_count, known.highest, known.state.started) == (2, second, True)
    assert [(version.version, version.settled) for version in known.state.versions] == [(1, True)]


def test_an_ended_task_is_only_an_id() -> None:
    task = TASKS[0]
    history = folded(
        TaskStarted(task_id=task, attempt=Attempt(5, 5), sequence=0),
        TaskCancelled(task_id=task, attempt=Attempt(1, 1), sequence=0, started=True, ended_at=NOW),
        TaskStarted(task_id=task, attempt=Attempt(6, 6), sequence=0),
    ).history()
    assert history == History(known={}, ended=frozenset({task.encode()}))


def test_records_that_cannot_be_read_are_counted_and_change_nothing() -> None:
    fold_ = folded(TaskStarted(task_id=TASKS[0], attempt=Attempt(1, 1), sequence=0))
    before = fold_.history()
    fold_.add(b"x", b"y", [])
    fold_.add(None, b"y", [])
    record = encode_event(completed(TASKS[0], Attempt(1, 1), 1), ORIGIN)
    fold_.add(record.key, b"{", record.headers)
    assert fold_.unreadable_count == 2
    assert fold_.history() == before


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(TASKS),
        st.builds(Attempt, st.integers(1, 3), st.integers(1, 2)),
        st.integers(0, 5),
        st.sampled_from(["started", "completed", "delta", "succeeded"]),
    ),
    max_size=40,
)


@given(EVENTS)
def test_the_fold_agrees_with_the_reducer_on_everything_that_work_needs(
    script: list[tuple[TaskId, Attempt, int, str]],
) -> None:
    events: list[AnyEvent] = []
    for task, attempt, sequence, kind in script:
        match kind:
            case "started":
                events.append(TaskStarted(task_id=task, attempt=attempt, sequence=sequence))
            case "completed":
                events.append(completed(task, attempt, sequence, version=1 + sequence % 2))
            case "delta":
                events.append(
                    VersionDelta(task_id=task, attempt=attempt, sequence=sequence, version=1, offset=0, text="글")
                )
            case _:
                events.append(TaskSucceeded(task_id=task, attempt=attempt, sequence=sequence, ended_at=NOW))
    history = folded(*events).history()
    for task in TASKS:
        whole = fold(task, [event for event in events if event.task_id == task])
        assert (task.encode() in history.ended) == whole.ended
        if (known := history.known.get(task.encode())) is not None:
            assert known.state.started == whole.started
            assert known.state.progress == whole.progress
            settled = [version for version in whole.versions if version.settled]
            assert [version for version in known.state.versions if version.settled] == settled


@given(
    st.integers(0, 100),
    st.integers(0, 100),
    st.builds(Attempt, st.integers(0, 100), st.integers(0, 100)),
)
def test_a_new_attempt_is_greater_than_every_one_before_whatever_the_clock_says(
    generation: int, boot_ms: int, highest: Attempt
) -> None:
    assert next_attempt(generation, boot_ms, highest) > highest
