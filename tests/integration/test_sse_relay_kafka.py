"""What Kafka itself may do to the relay: a topic made anew, retention, transactions; and odd HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from contracts.cursor import Cursor, Position
from contracts.events import Event
from contracts.task import TaskId, new_task_id
from contracts.topics import Topics
from deploy.topics import ensure_topics
from tests.support.relay import RelayProcess, TicketOffice
from tests.support.relay_events import TaskStory, record
from tests.support.relay_viewer import StreamViewer


class Scene:
    """One partition, so that every task is in the way of every other."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.topics = Topics(prefix, 1)
        self.office = TicketOffice(folder)
        self.relay = RelayProcess(bootstrap, prefix, self.office, partition_count=1)

    async def publish(self, *events: Event, transaction: str = "", abort: bool = False) -> list[Position]:
        options = {"transactional_id": transaction} if transaction else {"enable_idempotence": True}
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all", **options) as producer:
            if transaction:
                await producer.begin_transaction()
            written = []
            for event in events:
                made = record(event)
                written.append(
                    await producer.send_and_wait(
                        self.topics.events.name, made.value, key=made.key, headers=made.headers
                    )
                )
            if transaction:
                await (producer.abort_transaction() if abort else producer.commit_transaction())
        return [Position(each.partition, each.offset) for each in written]

    def watch(self, task: TaskId, start: Position, cursor: object = "") -> StreamViewer:
        ticket = self.office.for_task(task, start)
        return StreamViewer(f"{self.relay.url}/v1/tasks/{task}/events", ticket, str(cursor))

    def watch_owner(self, cursor: str = "") -> StreamViewer:
        return StreamViewer(f"{self.relay.url}/v1/events", self.office.for_owner(), cursor)


@pytest.fixture
async def scene(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(kafka, topic_prefix, tmp_path)
    await ensure_topics(kafka, scene.topics)
    yield scene
    scene.relay.kill()


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()


def first_events(story: TaskStory) -> list[Event]:
    return [story.accepted(), story.started(), story.delta("하나")]


async def test_a_topic_made_anew_is_a_gap_and_then_goes_on(scene: Scene, admin: AIOKafkaAdminClient) -> None:
    story, later = TaskStory(new_task_id()), TaskStory(new_task_id())
    positions = await scene.publish(*first_events(story))
    await scene.relay.start()
    async with scene.watch(story.task_id, positions[0]) as viewer, scene.watch_owner() as everything:
        await viewer.next()
        await everything.until("synced")
        await admin.delete_topics([topic.name for topic in scene.topics.all()])
        await ensure_topics(scene.bootstrap, scene.topics)
        await scene.publish(later.accepted())
        events = await viewer.rest(60)
        assert [(event.type, event.json.get("reason")) for event in events[1:]] == [("gap", "log_reset")]
        assert (await everything.until("gap", 60)).json == {"reason": "log_reset"}
        while everything.events[-1].json.get("task_id") != later.task_id:
            await everything.next(60)
    async with scene.watch(story.task_id, positions[0], positions[-1]) as viewer:
        assert viewer.status == 404


async def test_a_task_that_retention_has_overtaken_is_gone_and_others_are_not(
    scene: Scene, admin: AIOKafkaAdminClient
) -> None:
    old, kept = TaskStory(new_task_id()), TaskStory(new_task_id())
    old_positions = await scene.publish(*first_events(old), old.succeeded())
    positions = await scene.publish(*first_events(kept))
    topic = TopicPartition(scene.topics.events.name, 0)
    await admin.delete_records({topic: RecordsToDelete(before_offset=positions[0].offset)})
    await scene.relay.start()
    async with scene.watch(old.task_id, old_positions[0]) as viewer:
        assert viewer.status == 410
    async with scene.watch(old.task_id, old_positions[0], Cursor(old_positions[-1], end=True)) as viewer:
        assert viewer.status == 204
    async with scene.watch(kept.task_id, positions[0]) as viewer:
        assert (await viewer.next()).last_event_id == str(positions[-1])


async def test_aborted_records_are_not_seen_and_the_holes_of_transactions_hold_nobody_up(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = await scene.publish(story.accepted(), transaction=f"{scene.topics.prefix}-1")
    ghost = TaskStory(story.task_id)
    await scene.publish(ghost.started(), ghost.delta("유령"), transaction=f"{scene.topics.prefix}-2", abort=True)
    await scene.relay.start()
    async with scene.watch(story.task_id, positions[0]) as viewer:
        assert (await viewer.next()).last_event_id == str(positions[0])
        await scene.publish(story.started(), story.succeeded(), transaction=f"{scene.topics.prefix}-1")
        assert [event.type for event in await viewer.rest()] == ["snapshot", "task.started", "task.succeeded"]


async def test_a_window_shorter_than_a_task_does_not_cut_it(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = await scene.publish(*first_events(story))
    relay = RelayProcess(
        scene.bootstrap, scene.topics.prefix, scene.office, partition_count=1, look_back_seconds="0.001"
    )
    scene.relay = relay
    await relay.start()
    async with scene.watch(story.task_id, positions[0]) as viewer:
        assert (await viewer.next()).json["versions"][0]["text"] == "하나"
        more = await scene.publish(story.delta("둘"))
        assert (await viewer.next()).last_event_id == str(more[0])
    async with scene.watch(story.task_id, positions[0], positions[0]) as viewer:
        ids = [(await viewer.next()).last_event_id for _ in range(3)]
    assert ids == [str(position) for position in (*positions[1:], *more)]


async def test_a_request_right_behind_a_streams_is_dropped_and_the_stream_goes_on(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = await scene.publish(*first_events(story))
    await scene.relay.start()
    ticket = scene.office.for_task(story.task_id, positions[0])
    request = f"GET /v1/tasks/{story.task_id}/events?ticket={ticket} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.relay.port)
    writer.write(request * 3)
    await reader.readuntil(b"event: snapshot\n")
    writer.write(request)
    await scene.publish(story.succeeded())
    async with asyncio.timeout(15):
        rest = await reader.read()
    writer.close()
    assert rest.count(b"event: task.succeeded\n") == 1
    assert b"HTTP/1.1" not in rest


async def test_a_peer_that_leaves_gives_its_seat_back_and_other_methods_are_refused(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = await scene.publish(*first_events(story))
    await scene.relay.start()
    for _ in range(3):
        async with scene.watch(story.task_id, positions[0]) as viewer:
            await viewer.next()
    async with asyncio.timeout(10):
        while await scene.relay.metric("relay_streams"):
            assert await scene.relay.status("/livez") == 200
    for method in ("POST", "PUT", "DELETE", "HEAD", "TRACE"):
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.relay.port)
        writer.write(f"{method} /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"405", method
        writer.close()


async def test_connections_inherit_the_listeners_bounds(scene: Scene) -> None:
    """A peer that never reads swallows what the kernels hold, which the listener's options keep small."""
    story = TaskStory(new_task_id())
    positions = await scene.publish(*first_events(story))
    await scene.publish(*(story.delta("가" * 20_000) for _ in range(60)))
    await scene.relay.start()
    ticket = scene.office.for_task(story.task_id, positions[0])
    with socket.create_connection(("127.0.0.1", scene.relay.port)) as stuck:
        url = f"/v1/tasks/{story.task_id}/events?ticket={ticket}&after={positions[0]}"
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with scene.watch(story.task_id, positions[0]) as viewer:
            await viewer.next()
            await scene.publish(story.succeeded())
            await viewer.rest()
        await asyncio.to_thread(scene.relay.signal, 15)
        received = await asyncio.to_thread(_read_to_end, stuck)
    assert 60_000 < len(received) < 600_000, "of the 3.6 MB that were ready"


def _read_to_end(connection: socket.socket) -> bytes:
    connection.settimeout(20)
    received = bytearray()
    while data := connection.recv(65_536):
        received += data
    return bytes(received)


async def test_the_relay_documents_its_answers(scene: Scene) -> None:
    await scene.relay.start()
    async with httpx2.AsyncClient() as client:
        document = (await client.get(f"{scene.relay.url}/schema/openapi.json")).json()
    watch = document["paths"]["/v1/tasks/{task_id}/events"]["get"]["responses"]
    assert set(watch) == {"200", "204", "400", "401", "404", "410", "421"}
    assert list(watch["200"]["content"]) == ["text/event-stream"]
    assert list(watch["404"]["content"]) == ["application/problem+json"]
    for rest in ("events", "tasks/{task_id}", "tasks/{task_id}/events"):
        plain, named = document["paths"][f"/v1/{rest}"], document["paths"][f"/v1/partitions/{{partition}}/{rest}"]
        assert named["get"]["responses"] == plain["get"]["responses"]
        assert "partition" in {each["name"] for each in named["get"]["parameters"]}


async def test_half_a_request_and_then_silence_does_not_hold_a_connection(scene: Scene) -> None:
    await scene.relay.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.relay.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost:")
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()
