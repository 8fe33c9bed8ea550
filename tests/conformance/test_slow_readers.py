"""Section "How a stream goes", point 5: peers that read slowly, not at all, or vanish."""

import asyncio
import socket
import struct

import httpx2

from contracts.events import Event
from tests.conformance.promises import promises
from tests.conformance.scene import WAIT_SECONDS, Scene, plain
from tests.conformance.strict_stream import StrictStream
from tests.support.event_stream import StreamEvent
from tests.support.relay_events import TaskStory

SLOW = "A stream may end at any time between two events (deploys, age, its ticket's expiry, a slow reader)"
RESUMES = "a client reconnects with the last id."
LONG = "가나다라" * 2_500


def open_stream(scene: Scene, story: TaskStory, cursor: str) -> socket.socket:
    """Ask for a stream over a bare socket that holds little; read nothing of it."""
    url = httpx2.URL(scene.target.url)
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(WAIT_SECONDS)
    peer.connect((url.host, url.port or 80))
    head = f"GET {scene.path(story)} HTTP/1.1\r\nHost: {url.host}\r\nLast-Event-ID: {cursor}\r\n"
    peer.sendall(f"{head}Authorization: Bearer {scene.ticket(story)}\r\n\r\n".encode())
    return peer


def read_to_end(peer: socket.socket, chunk_bytes: int, most_bytes: int) -> list[StreamEvent]:
    """Return the events that a peer gets, in small reads and up to a number of bytes."""
    received = bytearray()
    try:
        while len(received) < most_bytes and (data := peer.recv(chunk_bytes)):
            received += data
    except ConnectionResetError:
        pass  # evicted: what came before counts
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    assert b"\r\ntransfer-encoding: chunked" not in head.lower(), "this peer speaks no chunks"
    return list(StrictStream().feed(body))


async def loud_task(scene: Scene) -> tuple[TaskStory, str, list[StreamEvent]]:
    """Publish a task of about 3 MB, and return it, the cursor before it, and what a quick reader got."""
    story = scene.begin()
    cursor = await scene.reach(story)
    async with scene.watch(story, cursor) as viewer:
        events: list[Event] = [story.delta(LONG) for _ in range(100)]
        scene.publish(*events, story.succeeded())
        return story, cursor, await viewer.rest(WAIT_SECONDS * 2)


@promises(SLOW, RESUMES)
async def test_a_reader_that_does_not_read_holds_nobody_up_and_resumes_where_it_was(scene: Scene) -> None:
    story = scene.begin()
    cursor = await scene.reach(story)
    with open_stream(scene, story, cursor) as stuck:
        async with scene.watch(story, cursor) as viewer:
            events: list[Event] = [story.delta(LONG) for _ in range(100)]
            scene.publish(*events, story.succeeded())
            whole = await viewer.rest(WAIT_SECONDS * 2)
        late = await asyncio.to_thread(read_to_end, stuck, 65_536, 1 << 30)
    assert plain(late) == plain(whole[: len(late)])
    if len(late) < len(whole):
        async with scene.watch(story, late[-1].last_event_id if late else cursor) as viewer:
            late += await viewer.rest()
    assert plain(late) == plain(whole)


@promises(SLOW, RESUMES)
async def test_a_reader_of_single_bytes_sees_what_a_quick_one_sees(scene: Scene) -> None:
    story, cursor, whole = await loud_task(scene)
    with open_stream(scene, story, cursor) as slow:
        late = await asyncio.to_thread(read_to_end, slow, 1, 100_000)
    assert late
    assert plain(late) == plain(whole[: len(late)])


@promises(RESUMES, "With a cursor: exactly the events behind it, and no snapshot.")
async def test_a_reset_in_the_middle_of_an_event_loses_nothing(scene: Scene) -> None:
    story, cursor, whole = await loud_task(scene)
    for most_bytes in (40_000, 70_001, 131_072):
        with open_stream(scene, story, cursor) as peer:
            seen = await asyncio.to_thread(read_to_end, peer, 8192, most_bytes)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with scene.watch(story, seen[-1].last_event_id if seen else cursor) as viewer:
            seen += await viewer.rest()
        assert plain(seen) == plain(whole)


@promises("| 200 `text/event-stream` | the stream;")
async def test_peers_that_vanish_leave_room_for_others(scene: Scene) -> None:
    story = scene.begin()
    cursor = await scene.reach(story)
    for _ in range(60):
        with open_stream(scene, story, cursor) as peer:
            assert peer.recv(1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    async with scene.watch(story, cursor) as viewer:
        scene.publish(story.succeeded())
        assert [event.type for event in await viewer.rest()] == ["task.succeeded"]


@promises("| 200 `text/event-stream` | the stream;")
async def test_half_requests_hold_nobody_up(scene: Scene) -> None:
    story = scene.begin()
    await scene.reach(story)
    async with scene.connect() as (_, silent), scene.connect() as (_, half):
        half.write(f"GET {scene.path(story)} HTTP/1.1\r\nHo".encode())
        await half.drain()
        async with scene.watch(story) as viewer:
            assert (await viewer.next()).type == "snapshot"
        assert not silent.is_closing()


@promises("With a cursor: exactly the events behind it, and no snapshot.")
async def test_thirty_clients_that_come_back_at_once_get_what_each_has_missed(scene: Scene) -> None:
    watched = await scene.write_watched(*(f"{number} " for number in range(30)))

    async def come_back(index: int) -> None:
        async with scene.watch(watched.story, watched.ids[index]) as viewer:
            assert plain(await viewer.rest()) == watched.behind(index)

    await asyncio.gather(*map(come_back, range(30)))
