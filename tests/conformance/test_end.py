"""Section "How a stream goes": the end."""

import pytest

from contracts.attempt import Attempt
from contracts.events import Event, Reason, TaskCancelled, TaskExpired, TaskFailed
from tests.conformance.promises import promises
from tests.conformance.scene import Scene
from tests.support.relay_events import NOW, TaskStory

ENDS = "After the terminal event, or the snapshot of an ended task, the server ends the stream."
STOPS = "204 | the cursor is the task's end: everything has been seen."


def terminal(story: TaskStory, kind: str) -> Event:
    sequence = story.sequence + 1
    match kind:
        case "task.failed":
            return TaskFailed(
                task_id=story.task_id, attempt=story.attempt, sequence=sequence, reason=Reason.TIMEOUT, ended_at=NOW
            )
        case "task.cancelled":
            return TaskCancelled(
                task_id=story.task_id, attempt=story.attempt, sequence=sequence, started=True, ended_at=NOW
            )
        case "task.expired":
            return TaskExpired(
                task_id=story.task_id, attempt=story.attempt, sequence=sequence, started=True, ended_at=NOW
            )
        case _:
            return story.succeeded()


@promises(ENDS, STOPS, "A reconnect from there gets 204")
@pytest.mark.parametrize("kind", ["task.succeeded", "task.failed", "task.cancelled", "task.expired"])
async def test_after_a_terminal_event_the_stream_ends_and_a_reconnect_gets_204(scene: Scene, kind: str) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    async with scene.watch(story, cursor) as viewer:
        scene.publish(terminal(story, kind))
        assert [event.type for event in await viewer.rest()] == [kind]
        assert not viewer.stream.incomplete
        cursor = viewer.cursor
    async with scene.watch(story, cursor) as viewer:
        assert viewer.status == 204
    answer = await scene.get(scene.path(story), scene.ticket(story), params={"after": cursor})
    assert (answer.status_code, answer.content) == (204, b"")


@promises(ENDS, STOPS)
async def test_a_newcomer_to_an_ended_task_gets_its_snapshot_then_the_end_then_204(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    async with scene.watch(watched.story) as viewer:
        (snapshot,) = await viewer.rest()
        assert (snapshot.type, snapshot.json["stage"], snapshot.json["ended"]) == ("snapshot", "succeeded", True)
        cursor = viewer.cursor
    assert cursor == watched.ids[-1]
    async with scene.watch(watched.story, cursor) as viewer:
        assert viewer.status == 204


@promises("The first terminal event wins, whatever its attempt; nothing after it exists.")
async def test_nothing_is_seen_after_the_first_terminal_event(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    zombie = TaskStory(story.task_id, Attempt(0, 1))
    newer = TaskStory(story.task_id, Attempt(7, 7_000))
    async with scene.watch(story, cursor) as viewer:
        scene.publish(terminal(zombie, "task.expired"), story.delta("뒤 "), newer.started(), newer.succeeded())
        first = await viewer.rest()
        end = viewer.cursor
    await scene.pass_by(story)
    assert [event.type for event in first] == ["task.expired"]
    async with scene.watch(story, cursor) as viewer:
        assert await viewer.rest() == first
    async with scene.watch(story, end) as viewer:
        assert viewer.status == 204
    assert (await scene.get(f"/v1/tasks/{story.task_id}", scene.ticket(story))).json()["stage"] == "expired"


@promises(ENDS, STOPS)
async def test_a_viewer_who_comes_at_the_moment_of_the_end_gets_it_once(scene: Scene) -> None:
    for _ in range(5):
        story = scene.begin("하나 ")
        scene.publish(story.succeeded())
        async with scene.watch(story) as viewer:
            events = await viewer.rest()
        ends = [event for event in events if event.type == "task.succeeded" or event.json.get("ended")]
        assert len(ends) == 1
        async with scene.watch(story, viewer.cursor) as again:
            assert again.status == 204
