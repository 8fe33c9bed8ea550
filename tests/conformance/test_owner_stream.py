"""Section "How a stream goes", point 6: one stream for everything of an owner."""

from collections import defaultdict
from collections.abc import Iterable

from contracts.codec import Record
from contracts.events import Event
from contracts.task import TaskId, new_task_id
from tests.conformance.promises import promises
from tests.conformance.scene import WAIT_SECONDS, Scene, StrictViewer
from tests.support.event_stream import StreamEvent
from tests.support.relay_events import TaskStory, record

COMPOSITE = "Positions on the owner's stream are composite: the id of each event covers all tasks."
CLASS_SIZE = 30


def by_task(events: Iterable[StreamEvent]) -> dict[str, list[tuple[str, int]]]:
    """Return, for each task, types and sequences in the order in which they came."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for event in events:
        found[event.json["task_id"]].append((event.type, event.json["sequence"]))
    return dict(found)


async def take_until(viewer: StrictViewer, event_type: str, count: int) -> list[StreamEvent]:
    """Read on until so many events of a type have come in this call; return what came."""
    taken: list[StreamEvent] = []
    while sum(event.type == event_type for event in taken) < count:
        taken.append(await viewer.next(WAIT_SECONDS))
    return taken


@promises('| `synced` | only on the owner\'s stream: `{"task_count"}`, after the snapshots |')
async def test_an_owner_gets_a_snapshot_of_each_task_and_then_synced(scene: Scene) -> None:
    stories = [scene.begin("하나 ") for _ in range(3)]
    for story in stories:
        await scene.reach(story)
    async with scene.watch_owner() as viewer:
        synced = await viewer.until("synced")
    snapshots = viewer.events[:-1]
    assert {event.type for event in snapshots} == {"snapshot"}
    assert {event.json["task_id"] for event in snapshots} == {story.task_id for story in stories}
    assert synced.json == {"task_count": 3}


@promises("`snapshot` events on it have no id; the `synced` behind them has.")
async def test_only_synced_moves_the_position_of_a_first_connection(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    async with scene.watch_owner() as viewer:
        snapshot, synced = await viewer.take(2)
    assert (snapshot.type, snapshot.last_event_id) == ("snapshot", "")
    assert (synced.type, synced.last_event_id != "") == ("synced", True)


@promises("one stream for everything of the ticket's owner, tasks that start later included")
async def test_tasks_that_start_later_are_seen_and_those_of_others_are_not(scene: Scene) -> None:
    other = f"{scene.owner}-other"
    async with scene.watch_owner() as viewer:
        assert (await viewer.next()).json == {"task_count": 0}
        foreign = scene.begin("남 ", owner=other)
        later = scene.begin("하나 ")
        scene.publish(foreign.succeeded(), owner=other)
        scene.publish(later.succeeded())
        events = await take_until(viewer, "task.succeeded", 1)
    assert by_task(events) == {
        later.task_id: [("task.accepted", 0), ("task.started", 0), ("version.delta", 1), ("task.succeeded", 2)]
    }


@promises("A task's stream does not end the owner's stream.")
async def test_the_end_of_a_task_does_not_end_the_owners_stream(scene: Scene) -> None:
    first, second = scene.begin(), scene.begin()
    await scene.reach(first)
    await scene.reach(second)
    async with scene.watch_owner() as viewer:
        await viewer.until("synced")
        scene.publish(first.succeeded())
        assert (await viewer.next()).type == "task.succeeded"
        scene.publish(second.delta("뒤 "))
        assert (await viewer.next()).json["task_id"] == second.task_id


@promises(COMPOSITE, "With a cursor: exactly the events behind it, and no snapshot.")
async def test_an_owners_stream_resumes_behind_every_event(scene: Scene) -> None:
    stories = [scene.begin() for _ in range(4)]
    for story in stories:
        await scene.reach(story)
    async with scene.watch_owner() as viewer:
        await viewer.until("synced")
        begin = len(viewer.events) - 1
        for word in ("하나 ", "둘 "):
            scene.publish(*(story.delta(word) for story in stories))
        late = scene.begin("셋 ")
        scene.publish(*(story.succeeded() for story in [*stories, late]))
        await take_until(viewer, "task.succeeded", 5)
        whole = viewer.events[begin:]
    for index, event in enumerate(whole[:-1]):
        async with scene.watch_owner(event.last_event_id) as viewer:
            rest = await viewer.take(len(whole) - index - 1)
        assert by_task(rest) == by_task(whole[index + 1 :])


@promises(COMPOSITE)
async def test_a_reader_that_has_everything_waits_for_what_comes(scene: Scene) -> None:
    story = scene.begin()
    await scene.reach(story)
    async with scene.watch_owner() as viewer:
        cursor = (await viewer.until("synced")).last_event_id
    async with scene.watch_owner(cursor) as viewer:
        new = scene.begin()
        scene.publish(story.succeeded())
        events = await viewer.take(3)
    assert by_task(events) == {
        story.task_id: [("task.succeeded", 1)],
        new.task_id: [("task.accepted", 0), ("task.started", 0)],
    }


def whole_course(story: TaskStory) -> list[Event]:
    begin: list[Event] = [story.accepted(), story.started()]
    words = [story.delta(f"{number} ") for number in range(3)]
    return [*begin, *words, story.completed(), story.succeeded()]


def interleaved(stories: list[TaskStory]) -> list[Event]:
    """Return the courses of many tasks, told at the same time: first events first."""
    return [event for step in zip(*map(whole_course, stories), strict=True) for event in step]


@promises(COMPOSITE, "Records are sent as they are in the log, each once per stream, in log order")
async def test_a_class_of_30_at_once_is_seen_whole_with_a_cut_in_the_middle(scene: Scene) -> None:
    stories = [TaskStory(new_task_id()) for _ in range(CLASS_SIZE)]
    events = interleaved(stories)
    async with scene.watch_owner() as viewer:
        await viewer.until("synced")
        scene.publish(*events[: len(events) // 2])
        seen = await viewer.take(len(events) // 3)
        cursor = viewer.cursor
    scene.publish(*events[len(events) // 2 :])
    async with scene.watch_owner(cursor) as viewer:
        seen += await viewer.take(len(events) - len(seen))
    expected: dict[TaskId, list[tuple[str, int]]] = defaultdict(list)
    for event in events:
        expected[event.task_id].append((event.type, event.sequence))
    assert by_task(seen) == expected


@promises("**less** those that the rules below ignore")
async def test_what_the_rules_ignore_is_not_on_the_owners_stream_either(scene: Scene) -> None:
    async with scene.watch_owner() as viewer:
        await viewer.until("synced")
        story = scene.begin("하나 ")
        repeated = TaskStory(story.task_id)
        scene.publish(repeated.started(), repeated.delta("하나 "), story.succeeded(), story.delta("뒤 "))
        later = scene.neighbour(story)
        scene.publish(later.accepted())
        events = await take_until(viewer, "task.accepted", 2)
    assert [event.type for event in events] == [
        *("task.accepted", "task.started", "version.delta", "task.succeeded", "task.accepted")
    ]


@promises("| `GET /v1/events` | one stream for everything of the ticket's owner")
async def test_an_owner_of_many_streams_gets_the_same_on_each(scene: Scene) -> None:
    async with scene.watch_owner() as first, scene.watch_owner() as second:
        await first.until("synced")
        await second.until("synced")
        made: list[Record] = [record(event, scene.owner) for event in whole_course(TaskStory(new_task_id()))]
        scene.publish_records(made)
        streams = [await take_until(viewer, "task.succeeded", 1) for viewer in (first, second)]
    assert [event.data.encode() for event in streams[0]] == [each.value for each in made]
    assert streams[0] == streams[1]
