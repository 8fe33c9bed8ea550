"""What a stream shows becomes times: fed with bytes as a relay sends them, over a real socket where it matters."""

import asyncio

import orjson
import pytest

from bench.journey.journey import Journey
from bench.journey.stream_tap import StreamTap, note_event, open_tap

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def frame(kind: str, **data: object) -> bytes:
    return b"id: 3-7\nevent: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def snapshot(*, started: bool = False, ended: bool = False, stage: str = "queued", text: str = "") -> dict[str, object]:
    versions = [{"version": number, "text": text} for number in (1, 2, 3)]
    return {"started": started, "ended": ended, "stage": stage, "versions": versions}


def fed(*pieces: bytes) -> Journey:
    journey = Journey(0.0)
    tap = StreamTap(journey, b"", 3)
    for piece in pieces:
        tap.data_received(piece)
    return journey


def test_a_queued_snapshot_is_an_event_but_no_progress() -> None:
    journey = fed(HEAD + frame("snapshot", **snapshot()))
    assert journey.first_event_at is not None
    assert journey.started_at is None
    assert not journey.first_text_at


def test_a_snapshot_that_comes_late_holds_the_progress() -> None:
    journey = fed(HEAD + frame("snapshot", **snapshot(started=True, ended=True, stage="succeeded", text="가")))
    assert journey.started_at == journey.ended_at == journey.first_text_at[3]
    assert journey.succeeded


def test_the_first_words_of_each_version_count_and_later_ones_do_not() -> None:
    journey = Journey(0.0)
    note_event(journey, "task.started", {}, 1.0)
    note_event(journey, "version.delta", {"version": 2, "text": "가"}, 2.0)
    note_event(journey, "version.delta", {"version": 2, "text": "나"}, 3.0)
    note_event(journey, "version.completed", {"version": 1, "text": "다"}, 4.0)
    note_event(journey, "task.succeeded", {}, 5.0)
    note_event(journey, "task.failed", {}, 6.0)
    assert journey.started_at == 1.0
    assert journey.first_text_at == {2: 2.0, 1: 4.0}
    assert journey.completed_at == {1: 4.0}
    assert (journey.ended_at, journey.outcome) == (5.0, "succeeded")


@pytest.mark.parametrize("size", [1, 7, 64])
def test_frames_may_be_cut_anywhere(size: int) -> None:
    deltas = b"".join(frame("version.delta", version=number, text="가") for number in (1, 2, 3, 1))
    raw = HEAD + b":\n\nretry: 1000\n\n" + frame("snapshot", **snapshot()) + deltas + frame("task.succeeded")
    journey = fed(*(raw[start : start + size] for start in range(0, len(raw), size)))
    assert set(journey.first_text_at) == {1, 2, 3}
    assert journey.succeeded


async def served(raw: bytes) -> Journey:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    journey = Journey(0.0)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tap = await open_tap(f"http://127.0.0.1:{port}/v1/tasks/x/events", "ticket", journey, 3)
        await tap.over.wait()
        tap.close()
    return journey


async def test_a_stream_that_ends_before_its_task_is_an_error() -> None:
    journey = await served(HEAD + frame("task.started"))
    assert journey.is_error
    assert journey.outcome == "broken stream ended early"


async def test_a_refused_stream_is_an_error_with_its_status() -> None:
    journey = await served(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
    assert journey.outcome == "refused 503"
