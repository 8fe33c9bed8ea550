"""Section "Read", the snapshot: what a first connection begins with, and the same as JSON."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from contracts.events import Event, TaggedEvent
from contracts.snapshot import decode_snapshot
from contracts.task import new_task_id
from tests.conformance.promises import promises
from tests.conformance.scene import Scene
from tests.support.golden import golden, load
from tests.support.relay_events import TaskStory

EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[TaggedEvent])
FIELDS = {
    *("task_id", "stage", "ended", "started", "degraded", "reason", "waiting", "versions", "usage", "edition"),
    *("school_level", "item", "limit", "accepted_at", "start_deadline", "end_deadline", "ended_at"),
    *("attempt", "sequence", "cursor", "overdue"),
}
VERSION_FIELDS = {
    *("version", "viewpoint", "title", "stage", "text", "characters", "bytes", "findings", "reason", "usage"),
}


@promises(
    "the whole state of one task and the `cursor` it is valid for: first on every new connection; on a task's stream "
    "that cursor is also its `id:`"
)
async def test_a_new_connection_begins_with_a_snapshot_whose_cursor_is_its_id(scene: Scene) -> None:
    story = scene.begin("하나 ", "둘 ")
    await scene.reach(story)
    async with scene.watch(story) as viewer:
        snapshot = await viewer.next()
    assert snapshot.type == "snapshot"
    assert snapshot.json["cursor"] == snapshot.last_event_id != ""
    assert snapshot.json["versions"][0]["text"] == "하나 둘 "


@promises("Without a cursor: `snapshot`, then each event behind it, as it happens.")
async def test_what_is_behind_the_snapshot_is_exactly_what_it_does_not_hold(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    async with scene.watch(story) as viewer:
        snapshot = await viewer.next()
        scene.publish(story.delta("둘 "), story.succeeded())
        events = await viewer.rest()
    state, _ = decode_snapshot(snapshot.data)
    assert state.versions[0].text == "하나 "
    assert [event.type for event in events] == ["snapshot", "version.delta", "task.succeeded"]


@promises("| `GET /v1/tasks/{task_id}` | the snapshot as JSON, with its `cursor` |")
async def test_the_snapshot_as_json_is_the_snapshot_of_the_stream(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    answer = await scene.get(f"/v1/tasks/{story.task_id}", scene.ticket(story))
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "application/json")
    async with scene.watch(story) as viewer:
        assert (await viewer.next()).json == answer.json()
    assert answer.json()["cursor"] == cursor


@promises("A snapshot's fields: `task_id, stage`")
async def test_a_snapshot_has_all_its_fields(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    snapshot = (await scene.get(f"/v1/tasks/{story.task_id}", scene.ticket(story))).json()
    assert snapshot.keys() >= FIELDS
    assert snapshot["versions"]
    assert all(version.keys() >= VERSION_FIELDS for version in snapshot["versions"])


@promises(
    "Progress of a lower attempt than the highest seen is ignored.",
    "Within an attempt a sequence not greater than the last is ignored.",
    "The first terminal event wins, whatever its attempt; nothing after it exists.",
    "A new attempt keeps settled versions and drops half-written text.",
    "A delta whose `offset` is not the length so far is not appended;",
)
@pytest.mark.parametrize("path", golden("lifecycle"), ids=lambda path: path.stem)
async def test_a_course_of_events_gives_the_snapshot_that_everybody_agrees_on(scene: Scene, path: Path) -> None:
    case = load(path)
    story = TaskStory(new_task_id())
    renamed = json.loads(json.dumps(case).replace(case["task_id"], story.task_id))
    scene.publish(*EVENTS.validate_json(json.dumps(renamed["events"])))
    await scene.pass_by(story)
    snapshot = (await scene.get(f"/v1/tasks/{story.task_id}", scene.ticket(story))).json()
    wanted = renamed["snapshot"]
    assert {name: snapshot[name] for name in wanted} == wanted
