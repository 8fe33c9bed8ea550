"""Section "Answers": what the head of an answer says, and who may ask."""

import asyncio
import re

import pytest

from tests.conformance.promises import promises
from tests.conformance.scene import WAIT_SECONDS, Scene

STORED = "Nothing is to be stored or held back on the way: `Cache-Control: no-store`, on streams also `no-transform`"
CORS = "Pages of allowed origins may read (CORS); for any other origin there is no `Access-Control-Allow-Origin`."


@promises("| 200 `text/event-stream` | the stream;", STORED, "`X-Accel-Buffering: no`")
async def test_a_stream_is_declared_as_one_that_nobody_buffers(scene: Scene) -> None:
    story = scene.begin()
    await scene.reach(story)
    async with scene.watch(story) as task, scene.watch_owner() as owner:
        for viewer in (task, owner):
            headers = viewer.headers
            assert re.fullmatch(r"text/event-stream(; ?charset=utf-8)?", headers["content-type"], re.IGNORECASE)
            assert {"no-store", "no-transform"} <= set(re.split(r",\s*", headers["cache-control"]))
            assert headers["x-accel-buffering"] == "no"
            assert "content-encoding" not in headers
            assert "content-length" not in headers


@promises(STORED)
async def test_a_stream_is_not_compressed_even_if_asked(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    accept = [("Accept-Encoding", "gzip, br, zstd"), ("Accept", "text/html")]
    answer = await scene.get(scene.path(watched.story), scene.ticket(watched.story), headers=accept)
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"].startswith("text/event-stream")


@promises(STORED, "204 | the cursor is the task's end")
async def test_an_end_and_a_snapshot_are_not_stored(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    ticket = scene.ticket(watched.story)
    end = await scene.get(scene.path(watched.story), ticket, params={"after": watched.ids[-1]})
    snapshot = await scene.get(f"/v1/tasks/{watched.story.task_id}", ticket)
    assert (end.status_code, snapshot.status_code) == (204, 200)
    assert "no-store" in end.headers["cache-control"]
    assert "no-store" in snapshot.headers["cache-control"]


@promises(CORS)
async def test_pages_of_other_origins_may_not_read(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    for origin in ("http://evil.example", "null", "http://page.example.evil.example"):
        for path in (scene.path(watched.story), f"/v1/tasks/{watched.story.task_id}"):
            answer = await scene.get(path, scene.ticket(watched.story), headers=[("Origin", origin)])
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers, origin


@promises(CORS)
@pytest.mark.needs_option("--allowed-origin")
async def test_pages_of_an_allowed_origin_may_read(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    origin = scene.target.allowed_origin
    ticket = scene.ticket(watched.story)
    for answer in (
        await scene.get(scene.path(watched.story), ticket, headers=[("Origin", origin)]),
        await scene.get(f"/v1/tasks/{watched.story.task_id}", ticket, headers=[("Origin", origin)]),
    ):
        assert answer.headers["access-control-allow-origin"] == origin
    async with scene.watch(watched.story, watched.ids[0]) as viewer:
        assert viewer.status == 200
    asked = [("Origin", origin), ("Access-Control-Request-Method", "GET")]
    asked.append(("Access-Control-Request-Headers", "authorization,last-event-id"))
    preflight = await scene.get(scene.path(watched.story), headers=asked, method="OPTIONS")
    assert preflight.status_code in {200, 204}
    assert preflight.headers["access-control-allow-origin"] == origin
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "last-event-id" in allowed


@promises("Only GET is answered (else 405).")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE"])
async def test_other_methods_get_405_at_once(scene: Scene, method: str) -> None:
    story = scene.begin()
    paths = (scene.path(story), f"/v1/tasks/{story.task_id}", "/v1/events")
    for path in paths:
        async with scene.connect() as (reader, writer):
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {scene.ticket(story)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode())
            async with asyncio.timeout(WAIT_SECONDS):
                answer = await reader.read()
        assert answer.split(None, 2)[1] == b"405", path
        assert method != "HEAD" or answer.endswith(b"\r\n\r\n"), "the answer to HEAD has no body"
