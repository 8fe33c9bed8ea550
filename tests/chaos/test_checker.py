"""The checker finds each broken promise in a log that breaks exactly that one."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.attempt import Attempt
from contracts.codec import Origin, encode_event, encode_result
from contracts.cursor import Position
from contracts.events import Event, TaskSucceeded, VersionOutcome, VersionStatus
from contracts.lifecycle import fold
from contracts.results import TaskResult
from contracts.task import OwnerId, TaskId
from tests.chaos.checker import Histories, Report, check
from tests.chaos.drafts import Disturbances, Why
from tests.chaos.load import Accepted
from tests.chaos.log_reader import Seen
from tests.support.relay_events import NOW, TaskStory

TASK = TaskId("0" * 31 + "1")
ORIGIN = Origin(OwnerId("owner"), "tests")
TEXT = "끝난 글"
NEXT = Attempt(2, 1)


class Course:
    """One task with one version, as the log, the results and the model saw it; an event takes a second."""

    def __init__(self) -> None:
        self.story = TaskStory(TASK)
        self.events: list[Event] = []
        self.results: list[Seen] = []
        self.calls: list[dict[str, Any]] = []
        self.disturbances = Disturbances()
        self.is_committed = False

    def write(self, *events: Event) -> "Course":
        self.events += events
        return self

    def call(self, began: float, ended: float | None, outcome: str = "completed", attempt: str = "1-1") -> "Course":
        self.calls.append(
            {
                "task_id": TASK,
                "version": "1",
                "purpose": "draft",
                "attempt": attempt,
                "started_at": began,
                "ended_at": ended,
                "outcome": outcome,
            }
        )
        return self

    def settle(self, text: str = TEXT) -> "Course":
        outcome = VersionOutcome(version=1, status=VersionStatus.COMPLETED, text=text, bytes=len(text.encode()))
        terminal = TaskSucceeded(
            task_id=TASK,
            attempt=self.story.attempt,
            sequence=self.story.sequence + 1,
            versions=(outcome,),
            ended_at=NOW,
        )
        return self.write(terminal)

    def project(self) -> "Course":
        state = fold(TASK, self.events)
        terminal = next(event for event in self.events if isinstance(event, TaskSucceeded))
        result = TaskResult.of(state, ORIGIN.owner, terminal.versions, Position(0, len(self.events) - 1))
        record = encode_result(result, ORIGIN)
        self.results.append(Seen(0, len(self.results), 100.0, record.key, record.value, record.headers))
        return self

    def judge(self) -> Report:
        histories = Histories()
        records = [encode_event(event, ORIGIN) for event in self.events]
        histories.take(
            Seen(0, offset, float(offset), record.key, record.value, record.headers)
            for offset, record in enumerate(records)
        )
        committed: dict[str, bool] = {TASK: self.is_committed}
        return check([Accepted(TASK, 0.0)], histories, self.results, self.calls, [], self.disturbances, committed)


def begun() -> Course:
    course = Course()
    return course.write(course.story.accepted(), course.story.started(), course.story.phase())


def good() -> Course:
    course = begun().call(2.0, 2.5)
    return course.write(course.story.completed(TEXT)).settle().project()


def test_a_good_course_breaks_nothing() -> None:
    report = good().judge()
    assert report.broken == []
    assert (report.accepted, dict(report.terminal), report.again_count) == (1, {"succeeded": 1}, 0)


@pytest.mark.parametrize(("is_committed", "broken"), [(True, "lost: 1"), (False, "stuck: 1")])
def test_a_task_without_an_end_is_lost_when_nobody_will_run_it_again_else_stuck(
    is_committed: bool, broken: str
) -> None:
    course = begun().call(2.0, 2.5)
    course.is_committed = is_committed
    assert course.judge().broken == [broken]


def test_results_are_there_once_and_say_what_the_first_terminal_event_says() -> None:
    assert good().project().judge().broken == ["double: 1"]
    without = good()
    without.results.clear()
    assert without.judge().broken == ["result missing: 1"]
    other = good()
    wrong = fold(TASK, other.events)
    record = encode_result(TaskResult.of(replace(wrong, degraded=True), ORIGIN.owner, (), Position(0, 4)), ORIGIN)
    other.results = [Seen(0, 0, 100.0, record.key, record.value, record.headers)]
    assert other.judge().broken == ["result wrong: 1"]


def test_a_success_needs_a_text_that_a_model_finished_and_the_log_holds_whole() -> None:
    unfinished = good()
    unfinished.calls[0]["outcome"] = "cut_by_client"
    assert unfinished.judge().broken == ["false success: 1"]
    course = begun().call(2.0, 2.5)
    course.write(course.story.completed(TEXT)).settle("ein anderer").project()
    assert course.judge().broken == ["false success: 1"]
    empty = begun().call(2.0, 2.5)
    empty.write(empty.story.completed(" ")).settle(" ").project()
    assert empty.judge().broken == ["false success: 1"]


def twice(first: tuple[float, float | None, str], *, settled_before: bool = False, again_in: Attempt = NEXT) -> Course:
    """A version that a second attempt drafts again."""
    course = begun().call(*first)
    if settled_before:
        course.write(course.story.completed(TEXT))
    course.write(course.story.begin_attempt(again_in), course.story.phase()).call(4.5, 4.8, attempt=str(again_in))
    if not settled_before:
        course.write(course.story.completed(TEXT))
    return course.settle().project()


@pytest.mark.parametrize("again_in", [Attempt(1, 2), NEXT], ids=["same assignment", "same worker"])
def test_a_draft_is_made_again_only_when_something_happened_to_one_in_flight(again_in: Attempt) -> None:
    course = twice((2.0, 2.5, "cut_by_client"), again_in=again_in)
    without_cause = ["made again without a cause: 1", "1 drafts made again, 0 versions were in flight"]
    assert course.judge().broken == without_cause
    course.disturbances.moments = [4.6]
    assert course.judge().broken == ["made again without a cause: 1"]
    course.disturbances.moments = [2.4]
    assert course.judge().broken == []
    assert course.judge().made_again == {Why.INTERRUPTED: 1}


def test_a_zombies_call_that_goes_on_was_in_flight() -> None:
    course = twice((2.0, 30.0, "completed"))
    course.disturbances.moments = [3.0]
    assert course.judge().broken == []
    assert course.judge().made_again == {Why.INTERRUPTED: 1}


@pytest.mark.parametrize(("ended", "broken"), [(20.1, []), (40.0, ["made again without a cause: 1"])])
def test_a_worker_that_wakes_up_may_call_for_a_moment_only(ended: float, broken: list[str]) -> None:
    course = begun()
    course.write(course.story.begin_attempt(NEXT), course.story.phase()).call(4.5, 4.8, attempt=str(NEXT))
    course.write(course.story.completed(TEXT)).settle().project()
    course.call(20.0, ended, "cut_by_client")
    course.disturbances.moments = [4.6]
    assert course.judge().made_again == {Why.WOKEN: 1}
    assert course.judge().broken == broken


def test_an_answer_is_lost_with_its_worker_or_without_kafka() -> None:
    course = twice((2.0, 4.0, "completed"))
    course.disturbances.moments = [4.2]
    assert course.judge().broken == []
    course.disturbances = Disturbances(outages=[(3.0, 9.0)])
    assert course.judge().broken == []
    assert course.judge().made_again == {Why.ANSWER_LOST: 1}


def test_a_version_that_the_log_holds_is_never_paid_for_again() -> None:
    course = twice((2.0, 2.5, "completed"), settled_before=True)
    course.disturbances.moments = [2.4]
    assert course.judge().broken == ["paid twice: 1"]
