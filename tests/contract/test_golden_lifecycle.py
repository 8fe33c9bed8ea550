"""The courses of events in tests/golden/lifecycle mean what they have always meant; web/ replays the same files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from contracts.cursor import Cursor, Position
from contracts.events import Event, TaggedEvent
from contracts.lifecycle import TaskState, fold, reduce
from contracts.snapshot import decode_snapshot, encode_snapshot
from contracts.task import TaskId
from tests.support.golden import golden, load

EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[TaggedEvent])


@pytest.mark.parametrize("path", golden("lifecycle"), ids=lambda path: path.stem)
def test_a_course_of_events_gives_its_snapshot(path: Path) -> None:
    case = load(path)
    events = EVENTS.validate_json(json.dumps(case["events"]))

    state = fold(TaskId(case["task_id"]), events)

    snapshot = json.loads(encode_snapshot(state, Cursor(Position(3, 7))))
    assert snapshot.pop("cursor") == "3-7"
    assert snapshot == case["snapshot"]
    assert state.progress.hole_count == case["hole_count"]
    assert state.progress.ignored_count == case["ignored_count"]


def test_an_empty_log_is_a_queued_task() -> None:
    assert fold(TaskId("0" * 32), []) == TaskState(TaskId("0" * 32))


@pytest.mark.parametrize("path", golden("lifecycle"), ids=lambda path: path.stem)
def test_the_state_never_depends_on_where_a_reader_paused(path: Path) -> None:
    case = load(path)
    events = EVENTS.validate_json(json.dumps(case["events"]))
    for cut in range(len(events)):
        state = fold(TaskId(case["task_id"]), events[:cut])
        for event in events[cut:]:
            state = reduce(state, event)
        assert state == fold(TaskId(case["task_id"]), events)


@pytest.mark.parametrize("path", golden("lifecycle"), ids=lambda path: path.stem)
def test_a_client_goes_on_from_any_snapshot(path: Path) -> None:
    case = load(path)
    events = EVENTS.validate_json(json.dumps(case["events"]))
    whole = fold(TaskId(case["task_id"]), events)
    for cut in range(len(events) + 1):
        cursor = Cursor(Position(3, cut))
        state, valid_for = decode_snapshot(encode_snapshot(fold(TaskId(case["task_id"]), events[:cut]), cursor))
        assert valid_for == cursor
        for event in events[cut:]:
            state = reduce(state, event)
        assert timeless(state) == timeless(whole)


def timeless(state: TaskState) -> TaskState:
    """A state without its statistics, which a snapshot leaves out."""
    return replace(state, progress=replace(state.progress, hole_count=0, ignored_count=0))
