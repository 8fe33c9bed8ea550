"""Section "Answers": any relay behind one address will do, however far behind it is."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conformance.promises import promises
from tests.conformance.scene import Scene, plain
from tests.support.relay_events import TaskStory

pytestmark = pytest.mark.needs_option("--second-relay-url")
AHEAD = "A cursor or ticket that is *ahead* of this relay waits until it has caught up, at most ten seconds;"
ANY = "so any relay behind one address will do."


@contextmanager
def held_up(scene: Scene) -> Iterator[None]:
    """Let our own second relay stand still for as long as the block lasts; another's lags as it does."""
    for relay in scene.target.own[1:]:
        relay.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for relay in scene.target.own[1:]:
            relay.signal(signal.SIGCONT)


@promises(ANY, "With a cursor: exactly the events behind it, and no snapshot.")
async def test_a_client_that_is_sent_to_another_relay_each_time_sees_every_event_once(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ", "둘 ", "셋 ")
    relays = (scene.target.url, scene.target.second_url)
    cursor, seen = watched.ids[0], []
    for turn in range(len(watched.ids) - 1):
        async with scene.watch(watched.story, cursor, relay=relays[turn % 2]) as viewer:
            seen.append(await viewer.next())
            cursor = viewer.cursor
    assert plain(seen) == watched.behind(0)
    for relay in relays:
        async with scene.watch(watched.story, cursor, relay=relay) as viewer:
            assert viewer.status == 204


@promises(AHEAD, ANY)
async def test_a_cursor_ahead_of_a_relay_waits_and_then_gets_exactly_what_follows(scene: Scene) -> None:
    story = scene.begin("하나 ")
    with held_up(scene):
        cursor = await scene.reach(story)
        opening = asyncio.create_task(read_to_end(scene, story, cursor))
        await scene.pass_by(story)
    scene.publish(story.delta("둘 "), story.succeeded())
    assert await opening == ["version.delta", "task.succeeded"]


async def read_to_end(scene: Scene, story: TaskStory, cursor: str = "") -> list[str]:
    async with scene.watch(story, cursor, relay=scene.target.second_url) as viewer:
        return [event.type for event in await viewer.rest()]


@promises(AHEAD)
async def test_a_ticket_ahead_of_a_relay_is_no_unknown_task(scene: Scene) -> None:
    with held_up(scene):
        story = scene.begin("하나 ")
        opening = asyncio.create_task(read_to_end(scene, story))
        await scene.pass_by(story)
    await scene.reach(story, relay=scene.target.second_url)
    scene.publish(story.succeeded())
    types = await opening
    assert (types[0], types[-1]) == ("snapshot", "task.succeeded")


@promises(ANY)
async def test_relays_agree_on_snapshots_and_cursors(scene: Scene) -> None:
    stories = [await scene.write_watched("하나 "), await scene.write_watched("둘 ")]
    for watched in stories:
        snapshots = []
        for relay in (scene.target.url, scene.target.second_url):
            async with scene.watch(watched.story, relay=relay) as viewer:
                snapshots.append((await viewer.rest())[-1])
        assert snapshots[0].last_event_id == snapshots[1].last_event_id == watched.ids[-1]


@promises(ANY, "Positions on the owner's stream are composite: the id of each event covers all tasks.")
async def test_an_owners_stream_goes_on_at_another_relay(scene: Scene) -> None:
    stories = [scene.begin() for _ in range(3)]
    for story in stories:
        await scene.reach(story)
    async with scene.watch_owner() as viewer:
        await viewer.until("synced")
        scene.publish(*(story.delta("하나 ") for story in stories))
        first = await viewer.take(2)
        cursor = viewer.cursor
    with held_up(scene):
        scene.publish(*(story.succeeded() for story in stories))
    async with scene.watch_owner(cursor, relay=scene.target.second_url) as viewer:
        rest = await viewer.take(4)
    seen = [(event.type, event.json["task_id"]) for event in [*first, *rest]]
    assert sorted(seen) == sorted(
        [(kind, story.task_id) for story in stories for kind in ("version.delta", "task.succeeded")]
    )
