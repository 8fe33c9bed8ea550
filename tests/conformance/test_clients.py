"""Stock clients follow one task to its end, with a cut in the middle: each event once, and no more after 204."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Route, async_playwright

from tests.conformance.cutting_proxy import CuttingProxy
from tests.conformance.node_client import installed_client
from tests.conformance.promises import promises
from tests.conformance.scene import Scene
from tests.conformance.strict_stream import StrictStream
from tests.support.relay_events import TaskStory

COMPLETE = 'section "Server-sent events", so a stock `EventSource` is a complete client.'
STOPS = "204 | the cursor is the task's end: everything has been seen. EventSource stops for good |"
ONCE = "Records are sent as they are in the log, each once per stream, in log order"
WAIT_SECONDS = 40.0
MOST_REQUESTS = 5
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

Seen = tuple[str, str]
"""Type and id of an event."""


@dataclass(slots=True)
class Client:
    """What a client has seen, and whether it has given up for good."""

    seen: list[Seen] = field(default_factory=list)
    closed: bool = False
    failed: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, event_type: str, event_id: str) -> None:
        async with self.changed:
            self.seen.append((event_type, event_id))
            self.changed.notify_all()

    async def close(self) -> None:
        async with self.changed:
            self.closed = True
            self.changed.notify_all()

    async def fail(self) -> None:
        async with self.changed:
            self.failed = True
            self.changed.notify_all()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self.changed:
            await self.changed.wait_for(lambda: self.failed or happened())
        assert not self.failed, "the client ended too early: see the error beside this one"


Run = Callable[[str, Client], Awaitable[None]]


@asynccontextmanager
async def running(run: Run, url: str, client: Client) -> AsyncIterator[None]:
    """Let a client run beside the block, and raise its own error if it fails."""

    async def watched() -> None:
        try:
            await run(url, client)
        except Exception:
            await client.fail()
            raise

    task = asyncio.create_task(watched())
    try:
        yield
        async with asyncio.timeout(WAIT_SECONDS):
            await task
    finally:
        if client.failed:
            await task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def follow_with_a_cut(scene: Scene, run: Run) -> None:
    """Let a client follow a task whose line is cut in the middle, and compare what it saw with the log."""
    story = scene.begin()
    await scene.reach(story)
    client = Client()
    async with CuttingProxy(scene.target.url) as proxy:
        url = f"{proxy.url}{scene.path(story)}?ticket={scene.ticket(story)}"
        async with running(run, url, client):
            await client.until(lambda: len(client.seen) >= 1)
            scene.publish(story.delta("하나 "), story.delta("둘 "))
            await client.until(lambda: len(client.seen) >= 3)
            proxy.cut()
            scene.publish(story.delta("셋 "), story.delta("넷 "), story.succeeded())
            await client.until(lambda: client.closed)
        exchanges = proxy.exchanges
    assert client.seen == await documented(scene, story, client.seen[0][1])
    assert [exchange.status for exchange in exchanges] == [200, 200, 204]
    ids = [event_id for _, event_id in client.seen]
    assert [exchange.last_event_id for exchange in exchanges] == ["", ids[2], ids[-1]]


async def documented(scene: Scene, story: TaskStory, cursor: str) -> list[Seen]:
    """Return what a strict reader sees of the task from the same snapshot on."""
    async with scene.watch(story, cursor) as viewer:
        events = await viewer.rest()
    assert [event.type for event in events] == ["version.delta"] * 4 + ["task.succeeded"]
    return [("snapshot", cursor), *((event.type, event.last_event_id) for event in events)]


@promises(COMPLETE, STOPS, ONCE)
@pytest.mark.needs("chromium")
async def test_a_browsers_event_source(scene: Scene) -> None:
    await follow_with_a_cut(scene, run_chromium)


@promises(COMPLETE, STOPS, ONCE)
@pytest.mark.needs("node")
async def test_the_eventsource_package_on_node(scene: Scene) -> None:
    folder = await asyncio.to_thread(installed_client)

    async def run(url: str, client: Client) -> None:
        await run_node(folder, url, client)

    await follow_with_a_cut(scene, run)


@promises(STOPS, ONCE)
async def test_curl_in_a_loop(scene: Scene) -> None:
    assert shutil.which("curl"), "curl is not on the PATH: install it with the system's package manager"
    await follow_with_a_cut(scene, run_curl)


@promises(STOPS, ONCE)
async def test_httpx2s_event_source_in_a_loop(scene: Scene) -> None:
    await follow_with_a_cut(scene, run_httpx2)


async def run_chromium(url: str, client: Client) -> None:
    async def answer(route: Route) -> None:
        await route.fulfill(content_type="text/html", body="<!doctype html><title>client</title>")

    async def say(event_type: str, event_id: str) -> None:
        await (client.close() if event_type == "closed" else client.note(event_type, event_id))

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = await browser.new_page()
        await page.route("**/client.html", answer)
        await page.expose_function("say", say)
        await page.goto(f"{url.partition('/v1/')[0]}/client.html")
        await page.evaluate(
            """(url) => {
                const source = new EventSource(url);
                for (const type of ["snapshot", "gap", "version.delta", "task.succeeded", "message"])
                    source.addEventListener(type, (event) => say(type, event.lastEventId));
                source.onerror = () => { if (source.readyState === EventSource.CLOSED) say("closed", ""); };
            }""",
            url,
        )
        await client.until(lambda: client.closed)
        await browser.close()


async def run_node(folder: Path, url: str, client: Client) -> None:
    script = Path(__file__).parent / "clients" / "follow.mjs"
    process = await asyncio.create_subprocess_exec(
        "node", str(script), str(folder), url, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            event = json.loads(line)
            if event["type"] == "closed":
                assert event["code"] == 204
            else:
                await client.note(event["type"], event["id"])
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    await client.close()  # the process has ended by itself: nothing in it would have come back


async def run_curl(url: str, client: Client) -> None:
    cursor = ""
    for _ in range(MOST_REQUESTS):
        stream, status = StrictStream(), ""
        command = ["curl", "-N", "-s", "-w", "\n: %{http_code}\n", "-H", f"Last-Event-ID: {cursor}", url]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=direct())
        try:
            assert process.stdout is not None
            while data := await process.stdout.read(65_536):
                for event in stream.feed(data):
                    await client.note(event.type, event.last_event_id)
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        status = bytes(stream.raw).rstrip().rpartition(b": ")[2].decode()
        cursor = stream.last_event_id or cursor
        if status == "204":
            await client.close()
            return
    raise AssertionError(f"no 204 in {MOST_REQUESTS} requests")


async def run_httpx2(url: str, client: Client) -> None:
    cursor = ""
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS) as http:
        for _ in range(MOST_REQUESTS):
            async with http.sse(url, headers={"Last-Event-ID": cursor} if cursor else {}) as source:
                if source.response.status_code == 204:
                    await client.close()
                    return
                try:
                    async for event in source:
                        cursor = event.id or cursor
                        if event.data:  # it also hands over blocks that only set `retry:`, which are no events
                            await client.note(event.event, event.id)
                except (httpx2.RemoteProtocolError, httpx2.ReadError):
                    continue  # a cut: come back with the last id
    raise AssertionError(f"no 204 in {MOST_REQUESTS} requests")


def direct() -> dict[str, str]:
    """Return an environment in which curl asks no proxy of the machine's."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
