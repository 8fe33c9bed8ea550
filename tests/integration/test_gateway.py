"""Four relays with three partitions each, behind nginx with the shipped configuration, look like one."""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from contracts.cursor import Cursor, Position
from contracts.events import Event
from contracts.task import TaskId, new_task_id
from contracts.topics import Topics
from deploy.gateway.configuration import Gateway, render
from deploy.gateway.shards import Shard
from deploy.local.ports import free_ports
from deploy.topics import ensure_topics
from producer_api.settings import Settings as ApiSettings
from tests.support.event_stream import StreamEvent
from tests.support.gateway import GatewayProcess
from tests.support.producer_api import SUBMISSION, ask_until, serve, wait_ready, write_keys
from tests.support.relay import RelayProcess, TicketOffice
from tests.support.relay_events import TaskStory, record
from tests.support.relay_viewer import StreamViewer

pytestmark = [pytest.mark.needs("nginx"), pytest.mark.timeout(300)]

PARTITION_COUNT = 12
PARTS = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]
NOBODY = "127.0.0.1:1"
PATIENCE_SECONDS = 60


@dataclass
class Told:
    """A task, and what has been written of it so far."""

    story: TaskStory
    events: list[Event] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)

    @property
    def task_id(self) -> TaskId:
        return self.story.task_id

    @property
    def partition(self) -> int:
        return self.positions[0].partition

    def behind(self, index: int) -> list[tuple[str, str, str]]:
        """What a viewer who has seen the event at an index is to get: type, id and data of each."""
        pairs = list(zip(self.events, self.positions, strict=True))[index + 1 :]
        return [
            (event.type, str(Cursor(position, end=event.terminal)), record(event).value.decode())
            for event, position in pairs
        ]


def plain(events: Sequence[StreamEvent]) -> list[tuple[str, str, str]]:
    return [(event.type, event.last_event_id, event.data) for event in events]


class Scene:
    """The topic, four relays, their gateway, and who writes and watches."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path, producer: AIOKafkaProducer) -> None:
        self.topics = Topics(prefix, PARTITION_COUNT)
        self.tickets: list[str] = []
        self.folder = folder
        self.gateways: list[GatewayProcess] = []
        self._office = TicketOffice(folder)
        self._producer = producer
        self._bootstrap = bootstrap
        self.relays = [self.new_relay(part) for part in PARTS]
        self.url = ""

    async def open_gateway(self, parts: Sequence[tuple[int, ...]] = PARTS, api: str = NOBODY) -> GatewayProcess:
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        folder = self.folder / f"gateway-{len(self.gateways)}"
        gateway = GatewayProcess(folder, self.configuration(url, parts, api), url)
        self.gateways.append(gateway)
        return await gateway.start()

    def configuration(self, url: str, parts: Sequence[tuple[int, ...]] = PARTS, api: str = NOBODY) -> str:
        shards = tuple(Shard(part, (address_of(relay.url),)) for part, relay in zip(parts, self.relays, strict=True))
        return render(Gateway(address_of(url), (api,), shards))

    def new_relay(self, part: Sequence[int]) -> RelayProcess:
        partitions = ",".join(map(str, part))
        return RelayProcess(self._bootstrap, self.topics.prefix, self._office, partitions=partitions)

    async def write(self, told: Told, *events: Event) -> Told:
        for event in events:
            made = record(event)
            written = await self._producer.send_and_wait(
                self.topics.events.name, made.value, key=made.key, headers=made.headers
            )
            told.events.append(event)
            told.positions.append(Position(written.partition, written.offset))
        return told

    async def begin(self) -> Told:
        """Write the first events of a task."""
        story = TaskStory(new_task_id())
        return await self.write(Told(story), story.accepted(), story.started(), story.delta("하나 "))

    async def begin_everywhere(self) -> list[Told]:
        """Begin tasks until each partition has one; return one of each, by partition."""
        found: dict[int, Told] = {}
        while len(found) < PARTITION_COUNT:
            told = await self.begin()
            found.setdefault(told.partition, told)
        return [found[number] for number in sorted(found)]

    def url_of(self, told: Told, partition: object = None) -> str:
        ticket = self._office.for_task(told.task_id, told.positions[0])
        self.tickets.append(ticket)
        named = told.partition if partition is None else partition
        return f"{self.url}/v1/partitions/{named}/tasks/{told.task_id}/events?ticket={ticket}"

    def watch(self, told: Told, cursor: object = "", *, partition: object = None) -> StreamViewer:
        return StreamViewer(self.url_of(told, partition), "", str(cursor))

    def watch_owner(self, partition: object = None, cursor: str = "") -> StreamViewer:
        ticket = self._office.for_owner()
        self.tickets.append(ticket)
        root = "/v1" if partition is None else f"/v1/partitions/{partition}"
        return StreamViewer(f"{self.url}{root}/events?ticket={ticket}", "", cursor)

    def close(self) -> None:
        for gateway in self.gateways:
            gateway.stop()
        for relay in self.relays:
            relay.kill()


def address_of(url: str) -> str:
    return url.removeprefix("http://")


def snapshot_of(url: str) -> str:
    return url.replace("/events?", "?")


@pytest.fixture
async def scene(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True) as producer:
        scene = Scene(kafka, topic_prefix, tmp_path, producer)
        try:
            await ensure_topics(kafka, scene.topics)
            for relay in scene.relays:
                relay.launch()
            for relay in scene.relays:
                await relay.until_ok("/readyz", timeout_seconds=PATIENCE_SECONDS)
            scene.url = (await scene.open_gateway()).url
            yield scene
        finally:
            scene.close()


async def test_a_task_of_every_partition_is_seen_to_its_end_and_resumes_from_anywhere(scene: Scene) -> None:
    for told in await scene.begin_everywhere():
        async with scene.watch(told) as viewer:
            snapshot = await viewer.next()
            assert snapshot.type == "snapshot"
            assert snapshot.json["cursor"] == snapshot.last_event_id == str(told.positions[-1])
            assert snapshot.json["versions"][0]["text"] == "하나 "
            seen = len(told.events) - 1
            await scene.write(told, told.story.delta("둘 "))
            assert plain([await viewer.next()]) == told.behind(seen), "live, while the stream stays open"
            await scene.write(told, told.story.delta("셋"), told.story.completed("하나 둘 셋"), told.story.succeeded())
            assert plain((await viewer.rest())[1:]) == told.behind(seen)
        for index, position in enumerate(told.positions[:-1]):
            async with scene.watch(told, position) as viewer:
                assert plain(await viewer.rest()) == told.behind(index)
        async with scene.watch(told, Cursor(told.positions[-1], end=True)) as viewer:
            assert viewer.status == 204


async def test_a_killed_relay_is_a_pause_for_its_own_viewers_and_nothing_for_others(scene: Scene) -> None:
    tasks = await scene.begin_everywhere()
    lost, kept = tasks[3:6], [*tasks[:3], *tasks[6:]]
    async with contextlib.AsyncExitStack() as stack:
        viewers = {told.partition: await stack.enter_async_context(scene.watch(told)) for told in tasks}
        for told in tasks:
            await viewers[told.partition].until("snapshot")
            await scene.write(told, told.story.delta("둘 "))
            await viewers[told.partition].until("version.delta")
        scene.relays[1].kill()
        for told in lost:
            assert plain((await viewers[told.partition].rest())[1:]) == told.behind(2)
        for told in tasks:
            await scene.write(told, told.story.delta("셋"), told.story.completed("하나 둘 셋"), told.story.succeeded())
        for told in kept:
            assert plain((await viewers[told.partition].rest())[1:]) == told.behind(2)

    cursors = {told.partition: viewers[told.partition].cursor for told in lost}
    for told in lost:
        async with scene.watch(told, cursors[told.partition]) as viewer:
            assert (viewer.status, viewer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert [(event.type, event.json) for event in await viewer.rest()] == [
                ("overloaded", {"reason": "relay_away"})
            ]
            assert viewer.stream.retry_ms is not None
            assert 2000 <= viewer.stream.retry_ms <= 5000
        async with httpx2.AsyncClient() as client:
            answer = await client.get(snapshot_of(scene.url_of(told)))
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/relay-away")
        assert answer.headers["retry-after"] == "2"
    await scene.relays[1].start(PATIENCE_SECONDS)
    for told in lost:
        async with scene.watch(told, cursors[told.partition]) as viewer:
            assert plain(await viewer.rest()) == told.behind(3)
        async with scene.watch(told, viewer.cursor) as viewer:
            assert viewer.status == 204

    scene.close()
    (gateway,) = scene.gateways
    tried = [json.loads(line) for line in gateway.access.splitlines()]
    assert {line["relay"] for line in tried} == {f"shard_{index}" for index in range(4)}
    assert [line["upstream_status"] for line in tried].count("502") == 2 * len(lost), "the gateway saw it go"
    written = gateway.written()
    for ticket in scene.tickets:
        assert ticket.encode() not in written
    assert b"ticket" not in gateway.access.encode() + gateway.errors.encode()


async def test_partitions_move_to_another_relay_and_viewers_follow_them(scene: Scene) -> None:
    tasks = (await scene.begin_everywhere())[3:6]
    (gateway,) = scene.gateways
    old, new = scene.relays[1], scene.new_relay(PARTS[1])
    try:
        await new.start(PATIENCE_SECONDS)
        async with contextlib.AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(scene.watch(told)) for told in tasks]
            for viewer in viewers:
                await viewer.until("snapshot")
            scene.relays[1] = new
            gateway.reload(scene.configuration(gateway.url))
            # A connection that is kept may belong to the old configuration, which is about to close it.
            async with httpx2.AsyncClient(headers={"Connection": "close"}) as client:
                snapshot = snapshot_of(scene.url_of(tasks[0]))
                await ask_until(
                    lambda: client.get(snapshot), lambda _: address_of(new.url) in gateway.access, PATIENCE_SECONDS
                )
            for told, viewer in zip(tasks, viewers, strict=True):
                await scene.write(told, told.story.delta("둘 "))
                assert plain([await viewer.next()]) == told.behind(2), "an open stream stays where it is"
            assert await old.terminate() == 0
            for told, viewer in zip(tasks, viewers, strict=True):
                assert plain((await viewer.rest())[1:]) == told.behind(2)
                assert viewer.stream.retry_ms is not None
        for told, viewer in zip(tasks, viewers, strict=True):
            await scene.write(told, told.story.succeeded())
            async with scene.watch(told, viewer.cursor) as again:
                assert plain(await again.rest()) == told.behind(3)
    finally:
        old.kill()
        new.kill()


async def test_a_url_with_the_wrong_partition_is_refused_aloud(scene: Scene) -> None:
    told = await scene.begin()
    beside = next(number for part in PARTS for number in part if told.partition in part and number != told.partition)
    elsewhere = (told.partition + 3) % PARTITION_COUNT
    async with httpx2.AsyncClient() as client:
        for named in (beside, elsewhere, PARTITION_COUNT, "x", f"0{told.partition}"):
            for url in (scene.url_of(told, named), snapshot_of(scene.url_of(told, named))):
                answer = await client.get(url)
                assert (answer.status_code, answer.json()["type"]) == (400, "/problems/wrong-partition"), named
                assert (answer.headers["content-type"], answer.json()["status"]) == ("application/problem+json", 400)
        place = f"/partitions/{told.partition}"
        for parameter in ("", f"&partition={told.partition}"):
            old_link = scene.url_of(told).replace(place, "") + parameter
            for url in (old_link, snapshot_of(old_link)):
                answer = await client.get(url)
                assert (answer.status_code, answer.json()["type"]) == (421, "/problems/partition-needed")
                assert (answer.headers["content-type"], answer.json()["status"]) == ("application/problem+json", 421)
        crooked = await scene.open_gateway([*PARTS[1:], PARTS[0]])
        answer = await client.get(scene.url_of(told).replace(scene.url, crooked.url))
        assert (answer.status_code, answer.json()["type"]) == (421, "/problems/other-shard")
        answer = await client.get(f"{scene.url}/metrics")
        assert answer.status_code == 404


async def test_an_owners_stream_is_asked_for_in_parts_that_say_what_they_are(scene: Scene) -> None:
    tasks = await scene.begin_everywhere()
    async with scene.watch_owner() as viewer:
        assert viewer.status == 421
    ids = set()
    for part in PARTS:
        async with scene.watch_owner(part[1]) as viewer:
            shard = await viewer.next()
            expected = {"partitions": list(part), "partition_count": PARTITION_COUNT}
            assert (shard.type, shard.json, shard.last_event_id) == ("shard", expected, "")
            synced = await viewer.until("synced")
            snapshots = [event.json["task_id"] for event in viewer.events[1:-1]]
            assert synced.json["task_count"] == len(snapshots)
            assert {told.task_id for told in tasks if told.partition in part} <= set(snapshots)
            ids |= set(snapshots)
        told = tasks[part[2]]
        await scene.write(told, told.story.delta("둘 "))
        async with scene.watch_owner(part[0], viewer.cursor) as again:
            assert (await again.next()).json == expected
            assert (await again.next()).json["task_id"] == told.task_id
        async with scene.watch_owner((part[0] + 3) % PARTITION_COUNT, viewer.cursor) as foreign:
            assert foreign.status == 421
    assert ids >= {told.task_id for told in tasks}


@pytest.fixture
def api_settings(kafka: str, topic_prefix: str, tmp_path: Path) -> ApiSettings:
    (port,) = free_ports(1)
    return ApiSettings(
        bootstrap=kafka,
        topic_prefix=topic_prefix,
        relay_url=f"http://127.0.0.1:{port}",
        allow_local_identity_on_network=True,
        **write_keys(tmp_path),
    )


async def test_one_address_serves_api_and_relays_of_everything(
    kafka: str, topic_prefix: str, tmp_path: Path, api_settings: ApiSettings
) -> None:
    await ensure_topics(kafka, Topics(topic_prefix, PARTITION_COUNT))
    public_key = api_settings.ticket_key_file.with_name("ticket.pub.pem")
    keys = tmp_path / "other"
    keys.mkdir()
    relay = RelayProcess(kafka, topic_prefix, TicketOffice(keys), ticket_public_key_file=public_key)
    gateway: GatewayProcess | None = None
    try:
        await relay.start(PATIENCE_SECONDS)
        async with serve(api_settings) as api:
            await wait_ready(api)
            url = api_settings.relay_url
            behind = Gateway(
                address_of(url), (address_of(str(api.base_url).rstrip("/")),), (), (address_of(relay.url),)
            )
            gateway = await GatewayProcess(tmp_path / "gateway", render(behind), url).start()
            async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
                assert (await client.get("/readyz")).json()["status"] == "ready"
                accepted = await client.post("/v1/tasks", json=SUBMISSION)
                assert accepted.status_code == 202
                task, links = accepted.json(), accepted.json()["links"]
                assert all(link.startswith(f"{url}/v1/") for link in links.values())
                assert re.fullmatch(rf"{url}/v1/partitions/[0-9]+/tasks/{task['task_id']}/events", links["events"])
                for link in (links["events"], f"{url}/v1/tasks/{task['task_id']}/events"):
                    async with StreamViewer(f"{link}?ticket={task['ticket']}", "") as viewer:
                        assert (await viewer.next()).json["task_id"] == task["task_id"]
                bearer = {"Authorization": f"Bearer {task['ticket']}"}
                assert (await client.get(links["snapshot"], headers=bearer)).json()["stage"] == "queued"
                assert (await client.post(links["cancel"])).status_code == 202
                everything = (await client.post("/v1/tickets")).json()
                async with StreamViewer(everything["links"]["events"], everything["ticket"]) as viewer:
                    assert (await viewer.next()).json["task_id"] == task["task_id"]
                page = await client.get("/")
                assert (page.status_code, page.headers["content-type"][:9]) == (200, "text/html")
                long_notes = {**SUBMISSION, "notes": "가" * 20_001}
                assert (await client.post("/v1/tasks", json=long_notes)).json()["type"] == "/problems/invalid-request"
        async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
            assert (await client.post("/v1/tasks", json=SUBMISSION)).json()["type"] == "/problems/api-away"
        gateway.stop()
        written = gateway.written().decode()
        assert task["ticket"] not in written
        assert SUBMISSION["notes"] not in written
    finally:
        if gateway is not None:
            gateway.stop()
        relay.kill()
