"""Section "How a stream goes": history that is gone. With our own relay by one that has just started."""

from contracts.cursor import Position
from tests.conformance.promises import promises
from tests.conformance.scene import Scene
from tests.support.relay_events import TaskStory

GONE = "410 | `/problems/task-gone`: the task is older than the topic's retention"
GAP = "history that the cursor needs is gone (`history_lost`)"
LOST = "If they are gone: `gap`, then `snapshot`, then live."


async def end_of(scene: Scene, story: TaskStory) -> tuple[str, str]:
    """Publish a task's end while somebody watches; return a cursor in its middle and the one at its end."""
    middle = await scene.reach(story)
    async with scene.watch(story, middle) as viewer:
        scene.publish(story.succeeded())
        await viewer.rest()
        return middle, viewer.cursor


async def restarted(scene: Scene) -> str:
    """Return a relay that has read nothing before now: our own second one; another relay is asked as it is."""
    for relay in scene.target.own[1:]:
        relay.kill()
        await relay.start()
        return relay.url
    return scene.target.url


@promises(GONE, "A reconnect from there gets 204, whether or not the relay still knows the task: the cursor says that")
async def test_a_task_that_retention_has_overtaken_is_gone_and_its_end_is_still_204(scene: Scene) -> None:
    old = scene.begin("하나 ")
    middle, end = await end_of(scene, old)
    kept = scene.neighbour(old)
    begin = scene.publish(kept.accepted(), kept.started(), kept.delta("새로 "))[0]
    scene.target.writer.delete_before(begin)
    relay = await restarted(scene)
    async with scene.watch(kept, relay=relay) as viewer:
        assert (await viewer.next()).type == "snapshot"
    async with scene.watch(old, end, relay=relay) as viewer:
        assert viewer.status == 204
    for cursor in ("", middle):
        async with scene.watch(old, cursor, relay=relay) as viewer:
            await told(scene, viewer.status, [event.type for event in await viewer.rest()])


async def told(scene: Scene, status: int, types: list[str]) -> None:
    """Check that lost history is told: 410; a relay that has been running may still know everything, or say `gap`."""
    if scene.target.own:
        assert status == 410
    else:
        assert status == 410 or types[-1:] == ["task.succeeded"] or types in (["snapshot"], ["gap", "snapshot"])


@promises(GAP, LOST)
async def test_an_owner_whose_history_is_gone_is_told_by_a_gap(scene: Scene) -> None:
    old = scene.begin("하나 ")
    await scene.reach(old)
    async with scene.watch_owner() as viewer:
        cursor = (await viewer.until("synced")).last_event_id
    missed = scene.publish(old.delta("둘 "), old.succeeded())
    kept = scene.neighbour(old)
    scene.publish(kept.accepted())
    scene.target.writer.delete_before(Position(missed[-1].partition, missed[-1].offset + 1))
    relay = await restarted(scene)
    await scene.reach(kept, relay=relay)
    async with scene.watch_owner(cursor, relay=relay) as viewer:
        first = await viewer.next()
        if scene.target.own or first.type == "gap":
            assert (first.type, first.json["reason"]) == ("gap", "history_lost")
            snapshot, synced = await viewer.take(2)
            assert (snapshot.type, snapshot.json["task_id"]) == ("snapshot", kept.task_id)
            assert (synced.type, synced.json) == ("synced", {"task_count": 1})
        else:
            rest = await viewer.take(2)
            assert [event.type for event in (first, *rest)] == ["version.delta", "task.succeeded", "task.accepted"]
