"""Section "How a stream goes": what is heard when nothing happens."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2

from tests.conformance.promises import promises
from tests.conformance.scene import Scene
from tests.conformance.strict_stream import StrictStream

SILENCE = "A comment line (`:`) after 15 s of silence"


async def lines_of(url: str, ticket: str, cursor: str) -> AsyncIterator[bytes]:
    headers = {"Authorization": f"Bearer {ticket}", **({"Last-Event-ID": cursor} if cursor else {})}
    async with (
        httpx2.AsyncClient(timeout=60) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        async for data in answer.aiter_raw():
            yield data


async def hear_comment(scene: Scene, url: str, ticket: str, cursor: str) -> StrictStream:
    """Read until a comment; return what was read."""
    stream, begin = StrictStream(), time.monotonic()
    async with asyncio.timeout(scene.target.heartbeat_seconds):
        async for data in lines_of(url, ticket, cursor):
            assert list(stream.feed(data)) == []
            if stream.comment_count:
                return stream
    raise AssertionError(f"the stream ended after {time.monotonic() - begin:.1f} s of silence")


@promises(SILENCE)
async def test_a_silent_stream_of_a_task_hears_a_comment_that_moves_no_position(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    stream = await hear_comment(scene, scene.target.url + scene.path(story), scene.ticket(story), cursor)
    assert stream.last_event_id == ""
    assert b"\nid" not in stream.raw
    assert not stream.raw.startswith(b"id")


@promises(SILENCE)
async def test_a_silent_stream_of_an_owner_hears_one_too(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    async with scene.watch_owner() as viewer:
        await viewer.until("synced")
        cursor = viewer.cursor
    ticket = scene.target.tickets.for_owner(scene.owner)
    await hear_comment(scene, f"{scene.target.url}/v1/events", ticket, cursor)


@promises(SILENCE, "A stream may end at any time between two events")
async def test_events_go_on_between_comments(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    async with scene.watch(story, cursor) as viewer:
        reading = asyncio.create_task(viewer.rest(scene.target.heartbeat_seconds + 20))
        async with asyncio.timeout(scene.target.heartbeat_seconds):
            while not viewer.stream.comment_count:
                await asyncio.wait({reading}, timeout=0.05)
                assert not reading.done(), "the stream ended in silence"
        assert viewer.events == []
        scene.publish(story.delta("둘 "), story.succeeded())
        assert [event.type for event in await reading] == ["version.delta", "task.succeeded"]
