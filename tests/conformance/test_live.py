"""Section "How a stream goes": live events."""

from contracts.attempt import Attempt
from contracts.events import (
    Event,
    Phase,
    Reason,
    TaskCancelling,
    TaskStarted,
    TaskWaiting,
    VersionFailed,
)
from contracts.task import new_task_id
from tests.conformance.promises import promises
from tests.conformance.scene import WAIT_SECONDS, Scene
from tests.support.relay_events import NOW, TaskStory, record

SECOND_ATTEMPT = Attempt(2, 2_000)


def every_type(story: TaskStory) -> list[Event]:
    """Return events of all types that do not end a task."""
    task_id = story.task_id
    events: list[Event] = [story.started(), story.phase(), story.delta("첫 "), story.delta("\U0001f600 말\u0301 ")]
    events += [story.replaced("다시 쓴 글"), story.phase(Phase.CHECKING), story.completed("끝난 글")]
    sequence = story.sequence + 1
    events.append(
        TaskWaiting(task_id=task_id, attempt=story.attempt, sequence=sequence, reason=Reason.RATE_LIMITED, until=NOW)
    )
    events.append(
        VersionFailed(
            task_id=task_id, attempt=story.attempt, sequence=sequence + 1, version=2, reason=Reason.REFUSED, text="반"
        )
    )
    events.append(TaskCancelling(task_id=task_id, attempt=story.attempt, sequence=sequence + 2))
    story.sequence = sequence + 2
    return events


@promises(
    "Records are sent as they are in the log, each once per stream, in log order",
    "Every event has `event:` (its type) and `data:` (one line of JSON); events of the log also have `id:`",
)
async def test_every_type_of_event_arrives_as_it_is_in_the_log(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    scene.publish(story.accepted())
    async with scene.watch(story) as viewer:
        await viewer.next()
        events = [*every_type(story), story.succeeded()]
        scene.publish(*events)
        seen = (await viewer.rest())[1:]
    assert [(event.type, event.data.encode()) for event in seen] == [
        (event.type, record(event).value) for event in events
    ]


@promises("each event behind it, as it happens")
async def test_each_event_is_there_before_the_next_one_is_written(scene: Scene) -> None:
    story = scene.begin()
    await scene.reach(story)
    async with scene.watch(story) as viewer:
        await viewer.next()
        for word in ("하나 ", "둘 ", "셋 "):
            scene.publish(story.delta(word))
            assert (await viewer.next(WAIT_SECONDS)).json["text"] == word


@promises(
    "**less** those that the rules below ignore",
    "Progress of a lower attempt than the highest seen is ignored.",
    "Within an attempt a sequence not greater than the last is ignored.",
)
async def test_retries_redeliveries_and_late_words_of_dead_workers_are_not_seen(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    zombie, repeated = TaskStory(story.task_id, Attempt(0, 1)), TaskStory(story.task_id)
    async with scene.watch(story) as viewer:
        await viewer.next()
        scene.publish(zombie.started(), zombie.delta("좀비 "), repeated.started(), repeated.delta("또 "))
        other = repeated.delta("한 번 더 ")
        scene.publish(other, other.model_copy(update={"text": "다른 글"}))
        again = story.begin_attempt(SECOND_ATTEMPT)
        scene.publish(again, TaskStarted(task_id=story.task_id, attempt=Attempt(1, 9_000), sequence=99))
        scene.publish(story.delta("새로 "), story.succeeded())
        events = (await viewer.rest())[1:]
    assert [(event.type, event.json["attempt"], event.json["sequence"]) for event in events] == [
        ("version.delta", "1-1000", 2),
        ("task.started", "2-2000", 0),
        ("version.delta", "2-2000", 1),
        ("task.succeeded", "2-2000", 2),
    ]
    assert events[0].json["text"] == "한 번 더 "


@promises("An attempt is `GENERATION-BOOT_MS`; compare the two numbers in order.")
async def test_attempts_are_compared_as_numbers_and_not_as_text(scene: Scene) -> None:
    story = TaskStory(new_task_id(), Attempt(9, 500))
    scene.publish(story.accepted(), story.started())
    async with scene.watch(story) as viewer:
        while (await viewer.next()).json["attempt"] != "9-500":
            pass
        seen_count = len(viewer.events)
        scene.publish(story.begin_attempt(Attempt(10, 499)), story.begin_attempt(Attempt(10, 1_000)))
        scene.publish(TaskStory(story.task_id, Attempt(9, 9_999)).started(), story.succeeded())
        attempts = [event.json["attempt"] for event in (await viewer.rest())[seen_count:]]
    assert attempts == ["10-499", "10-1000", "10-1000"]


@promises("each once per stream, in log order")
async def test_many_viewers_of_one_task_get_the_same(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ", "둘 ")
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    async with (
        scene.watch(story, cursor) as first,
        scene.watch(story, cursor) as second,
        scene.watch(story) as newcomer,
    ):
        await newcomer.next()
        scene.publish(*(story.delta(f"{number} ") for number in range(200)), story.succeeded())
        streams = [await first.rest(), await second.rest(), (await newcomer.rest())[1:]]
    assert streams[0] == streams[1] == streams[2]
    assert [event.json["sequence"] for event in streams[0]] == list(range(2, 203))
    assert watched.ids[-1] not in first.ids
