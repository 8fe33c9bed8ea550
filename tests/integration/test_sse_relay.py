"""The relay on a real broker, over both ways of serving streams."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from contracts.attempt import Attempt
from contracts.cursor import Cursor, Position
from contracts.events import Event
from contracts.task import TaskId, new_task_id
from contracts.topics import Topics
from deploy.local.broker import Broker
from deploy.topics import ensure_topics
from tests.support.relay import RelayProcess, TicketOffice
from tests.support.relay_events import TaskStory, record
from tests.support.relay_viewer import StreamViewer

PARTITION_COUNT = 4


class Bench:
    """A topic, a producer, and the relays that read it."""

    def __init__(self, bootstrap: str, prefix: str, office: TicketOffice, producer: AIOKafkaProducer) -> None:
        self.bootstrap = bootstrap
        self.topics = Topics(prefix, PARTITION_COUNT)
        self.office = office
        self.relays: list[RelayProcess] = []
        self._producer = producer

    def relay(self, **settings: object) -> RelayProcess:
        """Return a relay that is not started yet."""
        settings = {"partition_count": PARTITION_COUNT, **settings}
        relay = RelayProcess(self.bootstrap, self.topics.prefix, self.office, **settings)
        self.relays.append(relay)
        return relay

    async def publish(self, event: Event, owner: str = "owner") -> Position:
        made = record(event, owner)
        written = await self._producer.send_and_wait(
            self.topics.events.name, made.value, key=made.key, headers=made.headers
        )
        return Position(written.partition, written.offset)

    async def publish_all(self, events: Sequence[Event], owner: str = "owner") -> list[Position]:
        return [await self.publish(event, owner) for event in events]

    async def publish_raw(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        await self._producer.send_and_wait(self.topics.events.name, value, key=key, headers=headers, partition=0)

    def watch(
        self, relay: RelayProcess, task: TaskId, start: Position | None, cursor: object = "", owner: str = "owner"
    ) -> StreamViewer:
        ticket = self.office.for_task(task, start, owner)
        return StreamViewer(f"{relay.url}/v1/tasks/{task}/events", ticket, str(cursor))

    async def reach(self, relay: RelayProcess, task: TaskId, position: Position, owner: str = "owner") -> None:
        """Wait until a relay has read a position: a ticket that starts there is answered no sooner."""
        headers = {"Authorization": f"Bearer {self.office.for_task(task, position, owner)}"}
        async with httpx2.AsyncClient(timeout=30) as client:
            answer = await client.get(f"{relay.url}/v1/tasks/{task}", headers=headers)
        assert answer.status_code == 200, answer.text

    def watch_owner(self, relay: RelayProcess, cursor: str = "", owner: str = "owner") -> StreamViewer:
        return StreamViewer(f"{relay.url}/v1/events", self.office.for_owner(owner), cursor)


@pytest.fixture
async def open_bench(topic_prefix: str, tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[Bench]]]:
    benches: list[tuple[Bench, AIOKafkaProducer]] = []

    async def open_on(bootstrap: str) -> Bench:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
        bench = Bench(bootstrap, topic_prefix, TicketOffice(tmp_path), producer)
        await ensure_topics(bootstrap, bench.topics)
        await producer.start()
        benches.append((bench, producer))
        return bench

    yield open_on
    for bench, producer in benches:
        for relay in bench.relays:
            relay.kill()
        await producer.stop()


@pytest.fixture
async def bench(kafka: str, open_bench: Callable[[str], Awaitable[Bench]]) -> Bench:
    return await open_bench(kafka)


@pytest.fixture(params=["take-over", "asgi"])
async def relay(request: pytest.FixtureRequest, bench: Bench) -> RelayProcess:
    return await bench.relay(stream_mode=request.param).start()


def story() -> TaskStory:
    return TaskStory(new_task_id())


async def begun(
    bench: Bench, delta_count: int = 3, owner: str = "owner", *, relay: RelayProcess | None = None
) -> tuple[TaskStory, list[Position]]:
    """Publish the first events of a task, and wait until a relay has read them."""
    task = story()
    events: list[Event] = [task.accepted(), task.started(), *(task.delta(f"말{n} ") for n in range(delta_count))]
    positions = await bench.publish_all(events, owner)
    if relay is not None:
        await bench.reach(relay, task.task_id, positions[-1], owner)
    return task, positions


async def test_a_late_joiner_gets_a_snapshot_then_live_events_then_the_end(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    async with bench.watch(relay, task.task_id, positions[-1]) as viewer:
        snapshot = await viewer.next()
        assert (viewer.status, viewer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert snapshot.json["cursor"] == snapshot.last_event_id == str(positions[-1])
        assert snapshot.json["versions"][0]["text"] == "말0 말1 말2 "
        more = await bench.publish_all([task.delta("더"), task.succeeded()])
        events = await viewer.rest()
    assert [event.type for event in events] == ["snapshot", "version.delta", "task.succeeded"]
    assert [event.last_event_id for event in events[1:]] == [str(more[0]), str(Cursor(more[1], end=True))]


async def test_a_stream_resumes_at_every_position_without_gap_or_repeat(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    positions.append(await bench.publish(task.succeeded()))
    for index, position in enumerate(positions[:-1]):
        async with bench.watch(relay, task.task_id, positions[0], position) as viewer:
            ids = [event.last_event_id.removesuffix("-end") for event in await viewer.rest()]
        assert ids == [str(after) for after in positions[index + 1 :]]


async def test_at_the_end_a_reconnect_gets_204_and_a_newcomer_the_whole_state(
    bench: Bench, relay: RelayProcess
) -> None:
    task, positions = await begun(bench, relay=relay)
    end = await bench.publish(task.succeeded())
    await bench.reach(relay, task.task_id, end)
    async with bench.watch(relay, task.task_id, positions[0]) as viewer:
        (snapshot,) = await viewer.rest()
        assert (snapshot.type, snapshot.json["stage"], snapshot.json["ended"]) == ("snapshot", "succeeded", True)
        cursor = viewer.cursor
    assert cursor == str(Cursor(end, end=True))
    async with bench.watch(relay, task.task_id, positions[0], cursor) as viewer:
        assert (viewer.status, await viewer.rest()) == (204, [])


async def test_an_owner_sees_running_tasks_and_those_that_start_later_and_resumes(
    bench: Bench, relay: RelayProcess
) -> None:
    first, _ = await begun(bench, relay=relay)
    stranger, _ = await begun(bench, owner="stranger", relay=relay)
    async with bench.watch_owner(relay) as viewer:
        synced = await viewer.until("synced")
        assert (viewer.types, synced.json) == (["snapshot", "synced"], {"task_count": 1})
        assert viewer.events[0].last_event_id == ""
        second, _ = await begun(bench, 1, relay=relay)
        await bench.publish_all([first.succeeded(), stranger.delta("남"), second.delta("뒤")])
        while len(viewer.events) < 7:
            await viewer.next()
        assert sorted(viewer.types[2:5]) == ["task.accepted", "task.started", "version.delta"]
        assert {event.json["task_id"] for event in viewer.events[2:]} == {first.task_id, second.task_id}
        whole, cursors = viewer.events, [event.last_event_id for event in viewer.events]
    for index in range(1, len(whole)):
        async with bench.watch_owner(relay, cursors[index]) as viewer:
            got = [await viewer.next() for _ in whole[index + 1 :]]
        assert sorted(event.data for event in got) == sorted(event.data for event in whole[index + 1 :])
    third, _ = await begun(bench, 0, relay=relay)
    async with bench.watch_owner(relay, cursors[1]) as viewer:
        while viewer.types.count("task.accepted") < 2:
            await viewer.next()
    assert third.task_id in {event.json["task_id"] for event in viewer.events}


async def test_zombies_duplicates_and_words_after_the_end_are_not_seen(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, 1, relay=relay)
    zombie = TaskStory(task.task_id, Attempt(0, 1))
    repeated = TaskStory(task.task_id)
    async with bench.watch(relay, task.task_id, positions[0], positions[0]) as viewer:
        await bench.publish_all([zombie.started(), repeated.started(), task.delta("참"), task.succeeded()])
        await bench.publish_all([task.delta("뒤"), zombie.succeeded()])
        events = await viewer.rest()
    assert [event.type for event in events] == ["task.started", "version.delta", "version.delta", "task.succeeded"]
    async with bench.watch(relay, task.task_id, positions[0], positions[0]) as viewer:
        assert [event.data for event in await viewer.rest()] == [event.data for event in events]


async def test_broken_records_are_skipped_and_counted_and_hurt_nobody(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, 1, relay=relay)
    good = record(task.delta("x"))
    headers = dict(good.headers)
    broken: list[tuple[bytes | None, bytes | None, dict[str, bytes]]] = [
        (None, good.value, headers),
        (b"not-a-task", good.value, headers),
        (good.key, None, headers),
        (good.key, b"", headers),
        (good.key, b"[1]", headers),
        (good.key, b"\xff\xfe", headers),
        (good.key, good.value, {}),
        (good.key, good.value, headers | {"ce_type": b"task.exploded"}),
        (good.key, good.value, headers | {"schema_version": b"2.0"}),
        (good.key, good.value, headers | {"attempt": b"late"}),
        (good.key, good.value, headers | {"sequence": b"-1"}),
        (good.key, good.value, headers | {"padding": b"x" * 500_000, "attempt": b"9" * 400_000}),
    ]
    for key, value, named in broken:
        await bench.publish_raw(key, value, list(named.items()))
    async with bench.watch(relay, task.task_id, positions[0], positions[-1]) as viewer:
        await bench.publish(task.succeeded())
        assert [event.type for event in await viewer.rest()] == ["task.succeeded"]
    kinds = {"malformed": 10, "unknown_type": 1, "unsupported_schema": 1}
    for reason, count in kinds.items():
        assert await relay.metric(f'relay_records_skipped_total{{reason="{reason}"}}') == count


async def test_hostile_cursors_get_400(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    other, elsewhere = await begun(bench, relay=relay)
    foreign = [str(position) for position in elsewhere]
    hostile = ["-1", "0", "x", '"0-0"', '[{"topic":"t"}]', "0-" + "9" * 20, "9" * 9000, "\u00e9", "99999-1", "0-0.1-0"]
    ticket = bench.office.for_task(task.task_id, positions[0])
    async with httpx2.AsyncClient() as client:
        for cursor in [*hostile, *foreign]:
            answer = await client.get(
                f"{relay.url}/v1/tasks/{task.task_id}/events", params={"ticket": ticket, "after": cursor}
            )
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), cursor
        url = f"{relay.url}/v1/tasks/{task.task_id}/events?ticket={ticket}"
        header = [("Last-Event-ID", str(positions[0]))]
        assert (await client.get(url, headers=header * 2)).status_code == 400
        assert (await client.get(f"{url}&after=0-0&after=0-0")).status_code == 400
        owner = bench.office.for_owner()
        for cursor in ["1-0.0-0", "0-0.0-1", "0-0-end", "x", str(Cursor(positions[0], end=True))]:
            answer = await client.get(f"{relay.url}/v1/events", params={"ticket": owner, "after": cursor})
            assert answer.status_code == 400, cursor
    async with StreamViewer(f"{url}&after=x", ticket, str(positions[-1])) as viewer:
        assert viewer.status == 200, "Last-Event-ID wins over ?after="
    assert other.task_id != task.task_id


async def test_tickets_that_do_not_fit_are_refused_alike(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    other, _ = await begun(bench, relay=relay)
    office = bench.office
    events = f"{relay.url}/v1/tasks/{task.task_id}/events"
    expired = office.for_task(task.task_id, positions[0], seconds=-60)
    async with httpx2.AsyncClient() as client:

        async def ask(url: str, ticket: str) -> tuple[int, str]:
            answer = await client.get(url, headers={"Authorization": f"Bearer {ticket}"})
            return answer.status_code, answer.json()["type"].removeprefix("/problems/")

        assert (await client.get(events)).status_code == 401
        assert (await client.get(events, headers={"Authorization": "Basic eA=="})).status_code == 401
        assert await ask(events, "x" * 3000) == (401, "ticket-invalid")
        assert await ask(events, expired) == (401, "ticket-expired")
        assert await ask(f"{relay.url}/v1/events", office.for_task(task.task_id, None)) == (401, "ticket-invalid")
        unknown = [
            await ask(events, office.for_task(other.task_id, positions[0])),
            await ask(events, office.for_task(task.task_id, positions[0], "stranger")),
            await ask(events, office.for_owner("stranger")),
            await ask(f"{relay.url}/v1/tasks/{new_task_id()}/events", office.for_owner()),
            await ask(f"{relay.url}/v1/tasks/x/events", office.for_owner()),
            await ask(f"{relay.url}/v1/tasks/{new_task_id()}", office.for_owner()),
        ]
    assert unknown == [(404, "unknown-task")] * 6


async def test_snapshots_and_streams_may_be_read_from_the_set_origins_only(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    ticket = bench.office.for_task(task.task_id, positions[0])
    url = f"{relay.url}/v1/tasks/{task.task_id}"
    async with httpx2.AsyncClient() as client:
        answer = await client.get(f"{url}?ticket={ticket}", headers={"Origin": "http://localhost:8000"})
        assert answer.json()["cursor"] == str(positions[-1])
        assert answer.headers["access-control-allow-origin"] == "http://localhost:8000"
        answer = await client.get(f"{url}?ticket={ticket}", headers={"Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
    async with StreamViewer(f"{url}/events", ticket, Origin="http://127.0.0.1:8000") as viewer:
        assert viewer.headers["access-control-allow-origin"] == "http://127.0.0.1:8000"
    async with StreamViewer(f"{url}/events", ticket, Origin="http://evil.example") as viewer:
        assert "access-control-allow-origin" not in viewer.headers


async def test_sigterm_ends_streams_between_events_and_exits_with_0(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    async with bench.watch(relay, task.task_id, positions[0]) as viewer:
        await viewer.next()
        ended = asyncio.create_task(viewer.rest())
        assert await relay.terminate() == 0
        await ended
        assert not viewer.stream.incomplete
        assert viewer.stream.retry_ms is not None
        assert 1000 <= viewer.stream.retry_ms <= 3000


async def test_after_kill_9_and_a_restart_clients_resume_where_they_were(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    async with bench.watch(relay, task.task_id, positions[0]) as viewer, bench.watch_owner(relay) as everything:
        await viewer.next()
        await everything.until("synced")
        relay.kill()
        await viewer.rest()
        await everything.rest()
    missed = await bench.publish_all([task.delta("하나"), task.delta("둘")])
    await relay.start()
    async with bench.watch(relay, task.task_id, positions[0], viewer.cursor) as again:
        assert [(await again.next()).last_event_id for _ in missed] == [str(position) for position in missed]
        await bench.publish(task.succeeded())
        assert [event.type for event in await again.rest()] == ["version.delta", "version.delta", "task.succeeded"]
    async with bench.watch_owner(relay, everything.cursor) as again:
        assert [(await again.next()).type for _ in range(3)] == ["version.delta", "version.delta", "task.succeeded"]


async def test_a_reader_that_never_reads_is_evicted_and_others_do_not_notice(bench: Bench) -> None:
    relay = await bench.relay(slow_reader_seconds=1, history_bytes=64 << 20).start()
    task, positions = await begun(bench, relay=relay)
    ticket = bench.office.for_task(task.task_id, positions[0])
    with socket.create_connection(("127.0.0.1", relay.port)) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(f"GET /v1/tasks/{task.task_id}/events?ticket={ticket} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with bench.watch(relay, task.task_id, positions[0], positions[-1]) as viewer:
            written = await bench.publish_all([task.delta("가" * 10_000) for _ in range(100)])
            assert [(await viewer.next()).last_event_id for _ in written] == [str(position) for position in written]
            async with asyncio.timeout(20):
                while await relay.metric('relay_streams_ended_total{reason="slow"}') < 1:
                    await bench.publish(task.delta("나"))
            assert await relay.metric("relay_streams") == 1


async def test_a_silent_stream_hears_comments_and_ends_with_its_lifetime(bench: Bench) -> None:
    relay = await bench.relay(heartbeat_seconds=1, lifetime_seconds=6).start()
    task, positions = await begun(bench, relay=relay)
    async with bench.watch(relay, task.task_id, positions[0]) as viewer:
        events = await viewer.rest(30)
        assert [event.type for event in events] == ["snapshot"]
        assert viewer.stream.comment_count >= 3
    assert await relay.metric('relay_streams_ended_total{reason="lifetime"}') == 1


async def test_an_old_task_comes_from_kafka_after_it_left_memory(bench: Bench) -> None:
    relay = await bench.relay(history_bytes=1 << 20, task_bytes=1 << 19).start()
    old, positions = await begun(bench, relay=relay)
    end = await bench.publish(old.succeeded())
    for _ in range(12):
        task = story()
        await bench.publish_all(
            [task.accepted(), *(task.delta("긴 글 " * 5000) for _ in range(2)), task.completed("긴 글 " * 25_000)]
        )
        last = (task, await bench.publish(task.succeeded(outcomes=False)))
    await bench.reach(relay, last[0].task_id, last[1])
    assert await relay.metric("relay_tasks_evicted_total") > 0
    readers = [bench.watch(relay, old.task_id, positions[0], positions[1]) for _ in range(5)]

    async def read(viewer: StreamViewer) -> list[str]:
        async with viewer:
            return [event.last_event_id for event in await viewer.rest()]

    expected = [str(position) for position in positions[2:]] + [str(Cursor(end, end=True))]
    assert await asyncio.gather(*map(read, readers)) == [expected] * 5
    assert await relay.metric('relay_archive_reads_total{outcome="read"}') == 1


async def test_a_ticket_ahead_of_a_relay_waits_until_it_has_caught_up(bench: Bench) -> None:
    near, far = bench.relay(), bench.relay()
    await near.start()
    await far.start()
    far.signal(signal.SIGSTOP)
    task, positions = await begun(bench)
    async with bench.watch(near, task.task_id, positions[0]) as viewer:
        cursor = (await viewer.next()).last_event_id
    waiting = asyncio.create_task(bench.watch(far, task.task_id, positions[0], cursor).__aenter__())
    far.signal(signal.SIGCONT)
    async with await waiting as viewer:
        assert viewer.status == 200
        await bench.publish(task.succeeded())
        assert [event.type for event in await viewer.rest()] == ["task.succeeded"]


async def test_a_cursor_from_another_life_of_the_topic_is_a_gap(bench: Bench, relay: RelayProcess) -> None:
    task, positions = await begun(bench, relay=relay)
    future = Position(positions[0].partition, positions[-1].offset + 1000)
    async with bench.watch(relay, task.task_id, positions[0], future) as viewer:
        gap, snapshot = await viewer.next(), await viewer.next()
        assert (gap.type, gap.json["reason"], snapshot.type) == ("gap", "log_reset", "snapshot")
    unknown = new_task_id()
    async with bench.watch(relay, unknown, future) as viewer:
        assert viewer.status == 404


async def test_no_room_is_told_on_the_stream_with_a_long_retry(bench: Bench) -> None:
    relay = await bench.relay(max_streams=3, max_streams_per_owner=2).start()
    task, positions = await begun(bench, relay=relay)
    async with bench.watch_owner(relay), bench.watch(relay, task.task_id, positions[0]):
        async with bench.watch_owner(relay) as third:
            (overloaded,) = await third.rest()
            assert (third.status, overloaded.json) == (200, {"reason": "too_many_streams"})
            assert third.stream.retry_ms is not None
            assert third.stream.retry_ms >= 30_000
        async with bench.watch_owner(relay, owner="a"), bench.watch_owner(relay, owner="b") as full:
            assert (await full.rest())[0].json == {"reason": "relay_full"}
    async with bench.watch_owner(relay) as again:
        assert (await again.next()).type == "snapshot"


async def test_a_shard_answers_for_its_own_partitions_only(bench: Bench) -> None:
    task, positions = await begun(bench)
    own = positions[0].partition
    mine = await bench.relay(partitions=own).start()
    other = await bench.relay(partitions=(own + 1) % PARTITION_COUNT).start()
    async with bench.watch(mine, task.task_id, positions[0]) as viewer:
        assert (await viewer.next()).type == "snapshot"
    async with bench.watch(other, task.task_id, positions[0]) as viewer:
        assert viewer.status == 421


async def restart(broker: Broker) -> None:
    """The kernel ends a broker with the thread that launched it, so only the waiting is done in another one."""
    broker.launch()
    await asyncio.to_thread(broker.wait_ready)


async def test_a_broker_restart_is_a_pause_for_viewers(
    broker: Broker, open_bench: Callable[[str], Awaitable[Bench]]
) -> None:
    bench = await open_bench(broker.bootstrap)
    relay = await bench.relay().start()
    task, positions = await begun(bench, relay=relay)
    async with bench.watch(relay, task.task_id, positions[0]) as viewer:
        await viewer.next()
        await asyncio.to_thread(broker.kill)
        assert await relay.status("/readyz") == 200
        await restart(broker)
        await bench.publish_all([task.delta("뒤"), task.succeeded()])
        assert [event.type for event in await viewer.rest(60)] == ["snapshot", "version.delta", "task.succeeded"]


async def test_a_relay_that_starts_before_kafka_is_ready_once_kafka_is(
    broker: Broker, open_bench: Callable[[str], Awaitable[Bench]]
) -> None:
    bench = await open_bench(broker.bootstrap)
    task, positions = await begun(bench)
    await asyncio.to_thread(broker.stop)
    relay = bench.relay(catch_up_seconds=1)
    relay.launch()
    await relay.until_ok("/livez", timeout_seconds=20)
    assert await relay.status("/readyz") == 503
    async with bench.watch_owner(relay) as viewer:
        assert [event.type for event in await viewer.rest()] == ["overloaded"]
    await restart(broker)
    await relay.until_ok("/readyz", timeout_seconds=40)
    async with bench.watch(relay, task.task_id, positions[0]) as viewer:
        assert (await viewer.next()).json["cursor"] == str(positions[-1])
