from datetime import UTC, datetime, timedelta

import pytest

from contracts.attempt import OUTSIDE
from contracts.codec import RequestHeader
from contracts.commands import GenerationRequest
from contracts.cursor import Position
from contracts.task import OwnerId, TaskId
from producer_api.accepted_task import AcceptedTask, Deadlines, accepted_event, plan_request
from producer_api.errors import InvalidRequest
from producer_api.submission import Submission
from student_records.items import Item, SchoolLevel

NOW = datetime(2026, 4, 1, 9, 0, 0, 123456, tzinfo=UTC)
TASK = TaskId("0" * 31 + "1")
DEADLINES = Deadlines(start_seconds=600, run_seconds=300)


def submission(**changes: object) -> Submission:
    return Submission.model_validate({"item": Item.SUBJECT, "notes": "메모"} | changes)


def test_a_request_has_the_limit_and_viewpoints_of_its_item_and_both_deadlines() -> None:
    request = plan_request(submission(version_count=2), TASK, 2026, DEADLINES, NOW)
    assert (request.limit.characters, request.limit.bytes) == (500, 1500)
    assert [(plan.version, plan.viewpoint) for plan in request.versions] == [(1, "inquiry"), (2, "collaboration")]
    assert request.accepted_at == NOW.replace(microsecond=123000)
    assert request.start_deadline - request.accepted_at == timedelta(seconds=600)
    assert request.end_deadline - request.start_deadline == timedelta(seconds=300)
    assert request.edition == "2026.1"


def test_the_submitted_school_year_wins_over_the_default() -> None:
    assert plan_request(submission(school_year=2025), TASK, 2026, DEADLINES, NOW).edition == "2025.1"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"school_year": 1999}, "school_year"),
        ({"school_year": -(10**30)}, "school_year"),
        ({"item": Item.VOLUNTEER, "school_level": SchoolLevel.MIDDLE}, "item"),
    ],
)
def test_what_the_rules_of_the_year_do_not_know_is_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        plan_request(submission(**changes), TASK, 2026, DEADLINES, NOW)
    assert refused.value.field == field


def test_the_first_event_says_what_the_request_says_outside_of_any_attempt() -> None:
    request = plan_request(submission(), TASK, 2026, DEADLINES, NOW)
    event = accepted_event(request)
    assert (event.attempt, event.sequence) == (OUTSIDE, 0)
    shared = {"task_id", "edition", "school_level", "item", "versions", "limit", "start_deadline", "end_deadline"}
    assert event.model_dump(include=shared) == request.model_dump(include=shared)


def test_an_accepted_task_keeps_no_notes() -> None:
    request = plan_request(submission(notes="학생의 이름"), TASK, 2026, DEADLINES, NOW)
    header = RequestHeader("ab" * 32, Position(3, 7))
    task = AcceptedTask.of(request, OwnerId("o"), header, Position(3, 9))
    assert "학생" not in repr(task)
    assert task.digest == bytes.fromhex("ab" * 32)


def test_tasks_that_ask_for_the_same_share_what_is_remembered_of_it() -> None:
    requests = [plan_request(submission(), TASK, 2026, DEADLINES, NOW) for _ in range(2)]
    read_back = [GenerationRequest.model_validate_json(request.model_dump_json()) for request in requests]
    header = RequestHeader("ab" * 32, Position(3, 7))
    first, second = (AcceptedTask.of(request, OwnerId("o"), header, Position(3, 9)) for request in read_back)
    assert first.versions is second.versions
    assert first.limit is second.limit
