"""From a request to a stream: cursors, tickets, limits and the archive, without Kafka and without HTTP."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.cursor import Cursor, Position
from contracts.events import Event
from contracts.task import OwnerId, TaskId, new_task_id
from contracts.ticket import Ticket
from sse_relay.archive import Archive, OldRecord, OldRecords
from sse_relay.errors import (
    BadCursor,
    NotCaughtUp,
    OtherShard,
    Overload,
    PartitionNeeded,
    TaskGone,
    TicketRefused,
    UnknownTask,
    WrongPartition,
)
from sse_relay.hub import Hub
from sse_relay.record import HeaderReader
from sse_relay.seats import Seats
from sse_relay.settings import Settings
from sse_relay.stream import Streams
from sse_relay.subscriber import OwnerSubscriber, TaskSubscriber
from sse_relay.tally import Tally
from tests.support.event_stream import StreamEvent, read_all
from tests.support.relay_events import TaskStory, message, record
from tests.support.stream_transport import MemoryTransport

OWNER = OwnerId("owner")
PARTITION = 1


class LogInMemory:
    """A partition as Kafka has it, with a beginning that retention has moved."""

    def __init__(self) -> None:
        self.records: list[tuple[int, Event]] = []
        self.low = 0
        self.scan_count = 0
        self.reachable = True
        self.open = threading.Event()
        self.open.set()

    def append(self, event: Event) -> int:
        self.records.append((len(self.records), event))
        return len(self.records) - 1

    def high_watermark(self, partition: int) -> int:
        if not self.reachable:
            raise Overload("archive_unreachable")
        return len(self.records)

    def scan(self, task_id: TaskId, start: Position, until: int) -> OldRecords:
        assert self.open.wait(10)
        self.scan_count += 1
        if start.offset < self.low:
            raise TaskGone("old")
        found = []
        for offset, event in self.records[start.offset : until]:
            if event.task_id == task_id:
                made = record(event)
                kind, sequence, _ = HeaderReader().read(made.headers)
                found.append(OldRecord(offset, kind, sequence, made.value))
        if not found:
            raise UnknownTask("none")
        return OldRecords(OWNER, found, until)


class Scene:
    """Streams over a hub, and the log that both Kafka and the hub are fed from."""

    def __init__(self, settings: Settings, *, max_bytes: int = 1 << 20) -> None:
        self.kafka = LogInMemory()
        self.tally = Tally()
        self.hub = Hub(settings.own_partitions, Seats(10, 5), self.tally, max_bytes=max_bytes, max_task_bytes=max_bytes)
        self.archive = Archive(settings, self.hub, self.tally, self.kafka)
        self.streams = Streams(settings, self.hub, self.archive)

    def begin(self, offset: int = 0, *, cut: bool = False) -> None:
        """Be ready, having read from an offset on."""
        for number in self.hub.partitions:
            self.hub.begin(number, offset, offset, cut)

    def write(self, *events: Event, seen: bool = True) -> list[Position]:
        offsets = [self.kafka.append(event) for event in events]
        if seen:
            self.hub.take([message(self.kafka.records[at][1], PARTITION, at) for at in offsets])
        return [Position(PARTITION, at) for at in offsets]

    async def events(self, ticket: Ticket, task: TaskId, cursor: object = "") -> list[StreamEvent] | None:
        subscriber = await self.streams.open_task(ticket, task, str(cursor))
        return None if subscriber is None else self.seen_by(subscriber)

    def seen_by(self, subscriber: TaskSubscriber | OwnerSubscriber | object) -> list[StreamEvent]:
        transport = MemoryTransport(1 << 30)
        transport.connect(subscriber)
        return read_all(bytes(transport.received))


def ticket(task: TaskId | None = None, start: Position | None = None, owner: str = "owner") -> Ticket:
    return Ticket(OwnerId(owner), datetime.now(UTC) + timedelta(hours=1), task, start)


def story_events(story: TaskStory) -> list[Event]:
    return [story.accepted(), story.started(), story.delta("하나"), story.delta("둘")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(ticket_public_key_file=tmp_path / "k", partition_count=3, catch_up_seconds=0.2, max_archive_reads=1)


@pytest.fixture
async def scene(settings: Settings) -> Scene:
    scene = Scene(settings)
    scene.begin()
    return scene


async def test_a_first_connection_gets_one_snapshot_with_the_cursor_it_is_valid_for(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story))
    (snapshot,) = await scene.events(ticket(story.task_id, positions[0]), story.task_id) or []
    assert (snapshot.type, snapshot.last_event_id) == ("snapshot", str(positions[-1]))
    assert snapshot.json["versions"][0]["text"] == "하나둘"


async def test_each_cursor_gets_exactly_what_is_behind_it(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story))
    for index, position in enumerate(positions):
        events = await scene.events(ticket(story.task_id, positions[0]), story.task_id, position)
        assert [event.last_event_id for event in events or []] == [str(at) for at in positions[index + 1 :]]


async def test_the_end_is_204_whether_or_not_the_relay_still_knows_the_task(scene: Scene, settings: Settings) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story), story.succeeded())
    end = Cursor(positions[-1], end=True)
    for cursor in (end, positions[-1]):
        assert await scene.events(ticket(story.task_id, positions[0]), story.task_id, cursor) is None
    fresh = Scene(settings)
    fresh.begin()
    assert await fresh.events(ticket(story.task_id, positions[0]), story.task_id, end) is None
    assert fresh.hub.seats.taken_count == 0


@pytest.mark.parametrize(
    "cursor",
    ["x", "-1", "1-", "1-0-END", "1-0.2-0", "1-99999999999999999999", "9" * 5000, "1-00", "1-0 ", "\ufeff1-0", "1-0\0"],
)
async def test_what_is_no_cursor_is_refused(scene: Scene, cursor: str) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story))
    with pytest.raises(BadCursor):
        await scene.events(ticket(story.task_id, positions[0]), story.task_id, cursor)
    assert scene.hub.seats.taken_count == 0


async def test_a_cursor_of_another_task_or_a_false_end_is_refused(scene: Scene) -> None:
    story, other = TaskStory(new_task_id()), TaskStory(new_task_id())
    positions = scene.write(*story_events(story))
    foreign = scene.write(other.accepted())
    for cursor in (foreign[0], Cursor(positions[1], end=True), Position(0, 0), Position(70, 0)):
        scene.hub.at_end(0, 5)
        with pytest.raises(BadCursor):
            await scene.events(ticket(story.task_id, positions[0]), story.task_id, cursor)


async def test_what_the_judge_ignored_is_no_cursor(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story), TaskStory(story.task_id).started())
    with pytest.raises(BadCursor):
        await scene.events(ticket(story.task_id, positions[0]), story.task_id, positions[-1])


async def test_a_cursor_ahead_waits_until_the_record_comes_in(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    events = story_events(story)
    (start,) = scene.write(events[0])
    (ahead,) = scene.write(events[1], seen=False)
    waiting = asyncio.ensure_future(scene.events(ticket(story.task_id, start), story.task_id, ahead))
    await asyncio.sleep(0)
    scene.hub.take([message(events[1], PARTITION, ahead.offset)])
    assert await waiting == []


async def test_a_cursor_behind_the_end_of_kafkas_log_is_a_gap(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story))
    events = await scene.events(ticket(story.task_id, positions[0]), story.task_id, Position(PARTITION, 900))
    assert [event.type for event in events or []] == ["gap", "snapshot"]
    assert (events or [])[0].json == {"task_id": story.task_id, "reason": "log_reset"}


async def test_a_relay_that_stays_behind_says_so_instead_of_guessing(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story), seen=False)
    with pytest.raises(Overload, match="behind"):
        await scene.events(ticket(story.task_id, positions[0]), story.task_id)
    with pytest.raises(NotCaughtUp):
        await scene.streams.snapshot(ticket(story.task_id, positions[0]), story.task_id)
    scene.kafka.reachable = False
    with pytest.raises(Overload, match="unreachable"):
        await scene.events(ticket(story.task_id, positions[0]), story.task_id)
    assert scene.hub.seats.taken_count == 0


async def test_before_it_has_caught_up_a_relay_lets_nobody_wait_for_ever(settings: Settings) -> None:
    scene = Scene(settings)
    with pytest.raises(Overload, match="starting"):
        await scene.streams.open_owner(ticket(), "")


async def test_a_foreign_an_unknown_and_a_malformed_task_answer_alike(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    scene.write(*story_events(story))
    for task, who in [
        (story.task_id, ticket(owner="stranger")),
        (story.task_id, ticket(new_task_id())),
        (new_task_id(), ticket()),
        (TaskId("X" * 32), ticket()),
    ]:
        with pytest.raises(UnknownTask):
            await scene.events(who, task)


async def test_a_ticket_for_one_task_does_not_open_its_owners_stream(scene: Scene) -> None:
    with pytest.raises(TicketRefused):
        await scene.streams.open_owner(ticket(new_task_id()), "")


async def test_another_shards_partition_is_not_answered_for(settings: Settings) -> None:
    scene = Scene(settings.model_copy(update={"partitions": (PARTITION,)}))
    scene.begin()
    task = new_task_id()
    with pytest.raises(OtherShard):
        await scene.events(ticket(task, Position(0, 0)), task)


async def test_a_partition_in_the_url_has_to_be_the_tickets(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story))
    own, everything = ticket(story.task_id, positions[0]), ticket()
    for who in (own, everything):
        for named in ("", str(PARTITION)):
            (snapshot,) = scene.seen_by(await scene.streams.open_task(who, story.task_id, "", named))
            assert (await scene.streams.snapshot(who, story.task_id, named)) == snapshot.data.encode()
        for wrong in ("3", "99999", "100000", "01", "-1", " 1", "1 ", "x", "²"):
            with pytest.raises(WrongPartition):
                await scene.streams.open_task(who, story.task_id, "", wrong)
            with pytest.raises(WrongPartition):
                await scene.streams.snapshot(who, story.task_id, wrong)
            with pytest.raises(WrongPartition):
                await scene.streams.open_owner(everything, "", wrong)
    with pytest.raises(WrongPartition):
        await scene.streams.open_task(own, story.task_id, "", "0")
    with pytest.raises(WrongPartition):
        await scene.streams.open_task(own, story.task_id, f"{positions[-1]}-end", "0")


async def test_a_shard_says_that_it_is_a_part_and_never_that_something_is_not_there(settings: Settings) -> None:
    scene, story = Scene(settings.model_copy(update={"partitions": (0, PARTITION)})), TaskStory(new_task_id())
    scene.begin()
    scene.write(*story_events(story))
    streams = scene.streams
    for missing in (
        streams.open_owner(ticket(), ""),
        streams.open_owner(ticket(), "2-0"),
        streams.open_task(ticket(), story.task_id, ""),
        streams.snapshot(ticket(), new_task_id()),
    ):
        with pytest.raises(PartitionNeeded):
            await missing
    for elsewhere in (
        streams.open_owner(ticket(), "", "2"),
        streams.open_owner(ticket(), "2-0", "0"),
        streams.open_task(ticket(), story.task_id, "", "2"),
        streams.open_task(ticket(), story.task_id, "2-0"),
        streams.open_task(ticket(story.task_id, Position(2, 0)), story.task_id, "", "2"),
    ):
        with pytest.raises(OtherShard):
            await elsewhere
    with pytest.raises(UnknownTask):
        await streams.snapshot(ticket(), new_task_id(), "0")
    for named in ("0", str(PARTITION)):
        events = scene.seen_by(await streams.open_owner(ticket(), "", named))
        assert [event.type for event in events] == ["snapshot", "synced"]


async def test_an_end_needs_no_state_on_a_shard_either(settings: Settings) -> None:
    scene, task = Scene(settings.model_copy(update={"partitions": (PARTITION,)})), new_task_id()
    scene.begin()
    assert await scene.streams.open_task(ticket(task, Position(0, 0)), task, "0-4-end", "0") is None


async def test_a_task_from_before_the_look_back_window_is_read_again(settings: Settings) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), seen=False)
    scene.begin(len(positions), cut=True)
    more = scene.write(story.delta("셋"))
    events = await scene.events(ticket(story.task_id, positions[0]), story.task_id, positions[1])
    assert [event.last_event_id for event in events or []] == [str(at) for at in (*positions[2:], *more)]
    (snapshot,) = await scene.events(ticket(story.task_id, positions[0]), story.task_id) or []
    assert snapshot.json["versions"][0]["text"] == "하나둘셋"
    assert scene.kafka.scan_count == 1


async def test_many_readers_of_one_old_task_share_one_read(settings: Settings) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), story.succeeded(), seen=False)
    scene.begin(len(positions), cut=True)
    scene.kafka.open.clear()
    readers = [
        asyncio.ensure_future(scene.streams.snapshot(ticket(story.task_id, positions[0]), story.task_id))
        for _ in range(20)
    ]
    await asyncio.sleep(0)
    scene.kafka.open.set()
    assert len(set(await asyncio.gather(*readers))) == 1
    assert scene.kafka.scan_count == 1


async def test_words_that_come_and_go_while_an_old_task_is_read_are_no_hole(settings: Settings) -> None:
    scene, story = Scene(settings, max_bytes=20_000), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), seen=False)
    scene.begin(len(positions), cut=True)
    scene.kafka.open.clear()
    reading = asyncio.ensure_future(scene.events(ticket(story.task_id, positions[0]), story.task_id, positions[0]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    more = [scene.write(story.delta("가" * 1000))[0] for _ in range(10)]
    assert (log := scene.hub.find(story.task_id, PARTITION)) is not None
    assert log.lost > positions[-1].offset
    scene.kafka.open.set()
    assert [event.last_event_id for event in await reading or []] == [str(at) for at in (*positions[1:], *more)]
    assert scene.kafka.scan_count == 2


async def test_an_end_that_comes_and_goes_while_an_old_task_is_read_is_seen(settings: Settings) -> None:
    scene, story, others = Scene(settings, max_bytes=20_000), TaskStory(new_task_id()), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), seen=False)
    scene.begin(len(positions), cut=True)
    scene.kafka.open.clear()
    reading = asyncio.ensure_future(scene.events(ticket(story.task_id, positions[0]), story.task_id, positions[-1]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (end,) = scene.write(story.succeeded())
    scene.write(others.accepted(), others.started(), *(others.delta("가" * 1000) for _ in range(10)))
    assert scene.hub.find(story.task_id, PARTITION) is None
    scene.kafka.open.set()
    assert (await reading or [])[-1].last_event_id == str(Cursor(end, end=True))


async def test_an_old_task_that_goes_faster_than_it_can_be_read_is_told_so(settings: Settings) -> None:
    scene, story = Scene(settings, max_bytes=20_000), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), seen=False)
    scene.begin(len(positions), cut=True)
    loop = asyncio.get_running_loop()
    scan = scene.kafka.scan

    def scan_while_it_grows(task_id: TaskId, start: Position, until: int) -> OldRecords:
        found = scan(task_id, start, until)
        deltas: list[Event] = [story.delta("가" * 1000) for _ in range(10)]
        asyncio.run_coroutine_threadsafe(grow(deltas), loop).result(10)
        return found

    async def grow(deltas: list[Event]) -> None:
        for delta in deltas:
            scene.write(delta)

    scene.kafka.scan = scan_while_it_grows  # type: ignore[method-assign]  # Kafka's part of the scene
    with pytest.raises(Overload, match="archive_behind"):
        await scene.events(ticket(story.task_id, positions[0]), story.task_id, positions[0])
    assert scene.kafka.scan_count == 3
    assert scene.tally.archive == {"Overload": 1}


async def test_words_that_come_in_while_an_old_task_is_read_are_not_lost(settings: Settings) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), seen=False)
    scene.begin(len(positions), cut=True)
    scene.kafka.open.clear()
    reading = asyncio.ensure_future(scene.events(ticket(story.task_id, positions[0]), story.task_id, positions[0]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    more = scene.write(story.delta("셋"), story.succeeded())
    scene.kafka.open.set()
    ids = [event.last_event_id for event in await reading or []]
    assert ids == [str(at) for at in (*positions[1:], more[0])] + [str(Cursor(more[1], end=True))]


async def test_the_middle_of_a_finished_task_is_read_again_and_its_end_is_not(settings: Settings) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    scene.begin()
    positions = scene.write(*story_events(story), story.succeeded())
    log = scene.hub.find(story.task_id, PARTITION)
    assert log is not None
    scene.hub.history._seal(log)
    whole = ticket(story.task_id, positions[0])
    assert await scene.events(whole, story.task_id, positions[-1]) is None
    (snapshot,) = await scene.events(whole, story.task_id) or []
    assert snapshot.json["ended"]
    assert scene.kafka.scan_count == 0
    events = await scene.events(whole, story.task_id, positions[1])
    assert [event.type for event in events or []] == ["version.delta", "version.delta", "task.succeeded"]
    assert scene.kafka.scan_count == 1


async def test_a_task_older_than_retention_is_gone(settings: Settings) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), seen=False)
    scene.kafka.low = 2
    scene.begin(4)
    with pytest.raises(TaskGone):
        await scene.events(ticket(story.task_id, positions[0]), story.task_id)
    assert scene.tally.archive["TaskGone"] == 1


async def test_the_archives_queue_is_bounded(settings: Settings) -> None:
    scene = Scene(settings.model_copy(update={"max_archive_queue": 1}))
    scene.begin(10)
    scene.kafka.open.clear()
    tasks = [new_task_id() for _ in range(3)]
    waiting = [
        asyncio.ensure_future(scene.streams.snapshot(ticket(task, Position(PARTITION, 0)), task)) for task in tasks
    ]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [type(task.exception()) for task in done] == [NotCaughtUp]
    scene.kafka.open.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["NotCaughtUp", "UnknownTask", "UnknownTask"]


def owner_ids(events: Sequence[StreamEvent]) -> list[str]:
    return [event.last_event_id for event in events]


async def test_an_owners_stream_resumes_with_everything_of_partitions_it_does_not_name(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    scene.write(*story_events(story))
    elsewhere = TaskStory(new_task_id())
    scene.hub.take([message(event, 2, at) for at, event in enumerate(story_events(elsewhere))])
    subscriber = await scene.streams.open_owner(ticket(), "1-2")
    assert owner_ids(scene.seen_by(subscriber)) == ["1-3", "1-3.2-0", "1-3.2-1", "1-3.2-2", "1-3.2-3"]


async def test_an_owners_cursor_must_name_records_of_that_owner(scene: Scene) -> None:
    mine = TaskStory(new_task_id())
    scene.write(mine.accepted())
    scene.hub.take([message(TaskStory(new_task_id()).accepted(), PARTITION, 1, owner="stranger")])
    scene.kafka.records.append((1, mine.accepted()))
    for cursor in ("1-1", "1-0-end", "1-0.1-0", "x", "2-0.1-0", "70-1"):
        with pytest.raises(BadCursor):
            await scene.streams.open_owner(ticket(), cursor)
    assert scene.hub.seats.taken_count == 0


async def test_an_owner_whose_history_is_gone_is_told_of_the_gap(settings: Settings) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    scene.begin()
    scene.write(*story_events(story), story.succeeded())
    log = scene.hub.find(story.task_id, PARTITION)
    assert log is not None
    scene.hub.history._seal(log)
    events = scene.seen_by(await scene.streams.open_owner(ticket(), "1-2"))
    assert [event.type for event in events] == ["gap", "snapshot", "synced"]
    assert scene.seen_by(await scene.streams.open_owner(ticket(), events[-1].last_event_id)) == []


async def test_an_owner_without_tasks_is_synced_at_once_and_sees_the_first_one(scene: Scene) -> None:
    subscriber = await scene.streams.open_owner(ticket(), "")
    transport = MemoryTransport(1 << 30)
    transport.connect(subscriber)
    scene.write(*story_events(TaskStory(new_task_id())))
    events = read_all(bytes(transport.received))
    assert [event.type for event in events[:2]] == ["synced", "task.accepted"]
    assert (events[0].json, events[0].last_event_id, len(events)) == ({"task_count": 0}, "", 5)


async def test_a_partition_that_begins_anew_is_told_to_everybody_in_it(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    positions = scene.write(*story_events(story))
    one, all_of_it = MemoryTransport(1 << 30), MemoryTransport(1 << 30)
    subscriber = await scene.streams.open_task(ticket(story.task_id, positions[0]), story.task_id, "")
    one.connect(subscriber)
    all_of_it.connect(await scene.streams.open_owner(ticket(), ""))
    scene.hub.reset(PARTITION, 0, 0, False)
    assert [event.type for event in read_all(bytes(one.received))] == ["snapshot", "gap"]
    assert one.closed
    assert [event.type for event in read_all(bytes(all_of_it.received))] == ["snapshot", "synced", "gap", "synced"]
    fresh = TaskStory(new_task_id())
    scene.hub.take([message(event, PARTITION, at) for at, event in enumerate(story_events(fresh))])
    assert owner_ids(read_all(bytes(all_of_it.received)))[-1] == "1-3"


async def test_a_stream_over_the_limit_is_refused_and_a_closed_one_gives_its_seat_back(scene: Scene) -> None:
    transports = []
    for _ in range(5):
        transports.append(MemoryTransport(1 << 30))
        transports[-1].connect(await scene.streams.open_owner(ticket(), ""))
    with pytest.raises(Overload, match="too_many_streams"):
        await scene.streams.open_owner(ticket(), "")
    transports[0].abort()
    assert await scene.streams.open_owner(ticket(), "")
