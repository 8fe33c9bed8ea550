"""Section "Read": a URL may name the partition, and then it has to be right."""

from tests.conformance.promises import promises
from tests.conformance.scene import Scene, plain, root

SAME = "With one relay, or several that each read everything, a URL without it gets the same answer."
RIGHT = (
    "When it is there it has to be right: one that is no partition, or not the one that the ticket begins in, gets 400."
)
ROWS = (
    "| `GET /v1/partitions/{partition}/tasks/{task_id}` | the same",
    "| `GET /v1/partitions/{partition}/tasks/{task_id}/events` | the same",
)
SHARD = "A `shard` event, first on each connection, says which they are"
ROW = '`{"partitions", "partition_count"}`, first on each connection |'


@promises(SAME, *ROWS)
async def test_a_url_that_names_its_partition_gets_what_one_without_gets(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ", "둘 ")
    snapshots = []
    for partition in ("", scene.start(watched.story).partition):
        async with scene.watch(watched.story, watched.ids[0], partition=partition) as viewer:
            assert plain(await viewer.rest()) == watched.behind(0)
        async with scene.watch(watched.story, watched.ids[-1], partition=partition) as viewer:
            assert viewer.status == 204
        path = scene.path(watched.story, partition).removesuffix("/events")
        snapshots.append((await scene.get(path, scene.ticket(watched.story))).json())
    assert snapshots[0] == snapshots[1]
    assert snapshots[0]["stage"] == "succeeded"


@promises(RIGHT, "`/problems/wrong-partition`")
async def test_a_partition_that_is_none_or_not_the_tickets_gets_400(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    count = scene.target.topics.partition_count
    another = (scene.start(story).partition + 1) % count
    ticket = scene.ticket(story)
    for named in (str(count), "99999", "-1", "x", "0x1", "1.0", *([str(another)] if count > 1 else [])):
        path = scene.path(story, named)
        for where in (path, path.removesuffix("/events")):
            for after in ("", f"?after={cursor}"):
                answer = await scene.get(where + after, ticket)
                assert (answer.status_code, answer.json()["type"]) == (400, "/problems/wrong-partition"), named
    answer = await scene.get(f"{root(count)}/events", scene.target.tickets.for_owner(scene.owner))
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/wrong-partition")


@promises("A client uses them as they are, and adds `?ticket=` when it cannot send a header.")
async def test_a_link_takes_a_ticket_as_its_first_parameter(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    url = f"{scene.path(watched.story, scene.start(watched.story).partition)}?ticket={scene.ticket(watched.story)}"
    async with scene.viewer(url, "") as viewer:
        assert [event.type for event in await viewer.rest()] == ["snapshot"]


@promises(SHARD, ROW, "| `GET /v1/partitions/{partition}/events` |")
async def test_a_part_of_an_owners_stream_says_first_which_part_it_is(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    own, count = scene.start(story).partition, scene.target.topics.partition_count
    async with scene.watch_owner(partition=own) as viewer:
        shard, snapshot, synced = await viewer.take(3)
    assert (shard.type, snapshot.type, synced.type) == ("shard", "snapshot", "synced")
    assert shard.json["partition_count"] == count
    assert own in shard.json["partitions"]
    assert set(shard.json["partitions"]) <= set(range(count))
    scene.publish(story.delta("둘 "))
    async with scene.watch_owner(viewer.cursor, partition=own) as viewer:
        again, delta = await viewer.take(2)
    assert (again.type, again.json, delta.type) == ("shard", shard.json, "version.delta")


@promises("Without a partition the owner's stream is of everything, or 421; never a part that does not say so.")
async def test_an_owners_stream_without_a_partition_has_the_tasks_of_all(scene: Scene) -> None:
    async with scene.watch_owner() as viewer:
        if viewer.status == 421:
            return
        await viewer.until("synced")
    stories = [scene.neighbour_on(number) for number in range(scene.target.topics.partition_count)]
    for story in stories:
        scene.publish(story.accepted())
        await scene.reach(story)
    async with scene.watch_owner() as viewer:
        await viewer.until("synced")
    assert viewer.types == ["snapshot"] * len(stories) + ["synced"]
    assert {event.json["task_id"] for event in viewer.events[:-1]} == {story.task_id for story in stories}
