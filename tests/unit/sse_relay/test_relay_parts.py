"""The relay's small parts: pace, seats, settings, tickets, heartbeat, drain, history, what is taken from uvicorn."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from contracts.attempt import OUTSIDE, Attempt
from contracts.codec import read_header
from contracts.errors import RecordError
from contracts.events import EVENT_TYPES, TERMINAL_TYPES, Event
from contracts.lifecycle import Progress, judge
from contracts.task import OwnerId, new_task_id
from contracts.ticket import Ticket, sign_ticket
from sse_relay.authorisation import Authorisation, one_header, one_parameter
from sse_relay.drain import Drain
from sse_relay.errors import BadRequest, Overload, Refusal, RelayError, TicketOutdated, TicketRefused
from sse_relay.heartbeat import Heartbeat
from sse_relay.hub import Hub
from sse_relay.log import TaskLog
from sse_relay.metrics import Metrics
from sse_relay.pace import BUSY, CATCH_UP, QUIET, Pace
from sse_relay.record import HeaderReader, Kind
from sse_relay.seats import Seats
from sse_relay.server import StreamProtocol
from sse_relay.settings import Settings
from sse_relay.subscriber import TaskSubscriber
from sse_relay.tally import Tally
from tests.support.event_stream import EventStream, read_all
from tests.support.relay_events import TaskStory, message, raw_message, record
from tests.support.stream_transport import MemoryTransport

OWNER = OwnerId("owner")


def new_hub(max_bytes: int = 1 << 20, max_task_bytes: int = 1 << 20) -> Hub:
    return Hub([0], Seats(100, 100), Tally(), max_bytes=max_bytes, max_task_bytes=max_task_bytes)


def new_settings(**values: object) -> Settings:
    return Settings.model_validate({"ticket_public_key_file": Path("k"), **values})


def watch(hub: Hub, story: TaskStory, *, kernel_bytes: int = 1 << 30, expires: float = 1e9) -> MemoryTransport:
    log = hub.find(story.task_id, 0)
    assert log is not None
    transport = MemoryTransport(kernel_bytes)
    transport.connect(TaskSubscriber(hub, hub.seats.take(OWNER), expires, log, None))
    return transport


def test_the_broker_gathers_only_while_there_is_much_and_for_a_while_after() -> None:
    pace, now = Pace(), 1000.0
    for _ in range(3):
        pace.count(10_000, now)
    assert pace.fetching is CATCH_UP
    pace.reach_end()
    for rate, seconds, expected in [(100, 3, QUIET), (5000, 1, BUSY), (100, 3, BUSY), (100, 3, QUIET), (0, 3, QUIET)]:
        for _ in range(seconds * 100):
            now += 0.01
            pace.count(rate // 100, now)
        assert pace.fetching is expected, (rate, seconds)


def test_what_a_snapshot_was_made_of_is_kept_for_the_last_askers_only() -> None:
    hub, stories = new_hub(), [TaskStory(new_task_id()) for _ in range(300)]
    hub.take([message(story.accepted(), 0, at) for at, story in enumerate(stories)])
    logs = [log for story in stories if (log := hub.find(story.task_id, 0))]
    first = [hub.snapshot(log) for log in logs]
    hub.take([message(story.delta("더"), 0, 1000 + at) for at, story in enumerate(stories)])
    second = [json.loads(hub.snapshot(log))["versions"][0]["text"] for log in logs]
    assert (len(first), second) == (300, ["더"] * 300)
    assert [hub.snapshot(log) is log.snapshot() for log in logs[-3:]] == [True] * 3


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "schema_version": st.sampled_from([b"1.0", b"1.7", b"2.0", b"", b"\xff"]),
            "ce_type": st.sampled_from([*(name.encode() for name in EVENT_TYPES), b"x", b"\xff"]),
            "attempt": st.sampled_from([b"1-2", b"0-0", b"1", b"-1-2", b"\xff"]),
            "sequence": st.one_of(st.integers(-2, 2**64).map(lambda n: b"%d" % n), st.binary(max_size=3)),
            "owner": st.sampled_from([b"o", b""]),
        },
    )
)
def test_the_header_reader_says_what_the_contract_says(headers: dict[str, bytes]) -> None:
    reader = HeaderReader()
    reader.read(record(TaskStory(new_task_id()).accepted()).headers)
    for _ in range(2):  # the second answer comes from memory
        try:
            expected = read_header(headers.items())
        except RecordError as error:
            with pytest.raises(type(error)):
                reader.read(list(headers.items()))
            continue
        if expected.type not in EVENT_TYPES:
            with pytest.raises(RecordError):
                reader.read(list(headers.items()))
            continue
        kind, sequence, owner = reader.read(list(headers.items()))
        assert (kind.event_type.decode(), kind.attempt, sequence) == (
            expected.type,
            expected.attempt,
            expected.sequence,
        )
        assert (owner.decode(), kind.terminal) == (expected.owner, expected.type in TERMINAL_TYPES)


RECORDS = st.tuples(
    st.sampled_from([OUTSIDE, Attempt(0, 7), Attempt(1, 1), Attempt(1, 2)]), st.integers(0, 6), st.integers(0, 9)
)


@given(st.lists(RECORDS, max_size=30))
def test_a_log_says_of_each_record_what_the_judge_says(records: list[tuple[Attempt, int, int]]) -> None:
    log, progress, following = TaskLog(new_task_id(), OWNER, 0), Progress(), 0
    for offset, (attempt, sequence, dice) in enumerate(records):
        following = following + 1 if dice > 4 else sequence  # runs are what the log has a shorter way for
        kind = Kind(b"task.failed" if dice == 0 else b"version.phase", dice == 0, attempt)
        progress, verdict = judge(progress, attempt, following, terminal=kind.terminal)
        assert log.append(offset, kind, following, b"{}") is verdict
        if dice % 2:
            assert log.progress == progress
    assert log.progress == progress


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=30), st.integers(0, 29), st.integers(-1, 30), st.integers(1, 900)
)
def test_a_chunk_is_the_next_frames_that_fit_or_one(sizes: list[int], keep: int, seen: int, room: int) -> None:
    log = TaskLog(new_task_id(), OWNER, 0)
    for offset, size in enumerate(sizes):
        log.append(offset, Kind(b"version.phase", False, OUTSIDE), offset, b"{%b}" % (b" " * size))
    log.trim(keep)
    seen = max(seen, log.lost)
    frames, offset = log.chunk_after(seen, room)
    rest = [frame for at, frame in log.frames_after(seen)]
    assert list(frames) == rest[: len(frames)]
    assert offset == (min(max(seen, log.last), seen + len(frames)) if frames else seen)
    if rest:
        assert len(frames) == 1 or sum(map(len, frames)) <= room


def test_the_counters_add_up() -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    good: list[Event] = [story.accepted(), story.started(), story.delta(), story.succeeded(), story.delta()]
    batch = [message(event, 0, at) for at, event in enumerate(good)]
    batch += [raw_message(0, 10, None, b"{}", []), raw_message(0, 11, b"k", b"x", record(good[0]).headers)]
    batch += [message(good[0], 0, 3)]
    hub.take(batch)
    tally = hub.tally
    assert (tally.record_count, tally.applied_count) == (8, 4)
    assert dict(tally.ignored) == {"after_end": 1}
    assert dict(tally.skipped) == {"malformed": 2, "read_before": 1}
    text = Metrics(hub, tally).render().decode()
    assert 'relay_records_skipped_total{reason="malformed"} 2.0' in text
    assert "relay_records_total 8.0" in text


def test_a_seat_is_given_back_once() -> None:
    seats = Seats(2, 1)
    seat = seats.take(OWNER)
    with pytest.raises(Overload, match="too_many_streams"):
        seats.take(OWNER)
    seats.take(OwnerId("other"))
    with pytest.raises(Overload, match="relay_full"):
        seats.take(OwnerId("third"))
    seat.release()
    seat.release()
    assert seats.taken_count == 1
    seats.take(OWNER)


def test_unsafe_settings_are_refused() -> None:
    refused: list[dict[str, object]] = [
        {"allowed_origins": "*"},
        {"allowed_origins": "http://a,null"},
        {"partitions": "12", "partition_count": 12},
        {"partition_count": 151},
        {"task_bytes": 2 << 20, "history_bytes": 1 << 20},
        {"lifetime_seconds": 0},
    ]
    for unsafe in refused:
        with pytest.raises(ValidationError):
            new_settings(**unsafe)
    assert new_settings(partitions="3, 1").own_partitions == (1, 3)
    assert new_settings(allowed_origins="http://a, http://b").allowed_origins == ("http://a", "http://b")


def test_tickets_come_from_the_header_or_the_query_and_are_checked_each_time() -> None:
    key = Ed25519PrivateKey.generate()
    authorisation = Authorisation(key.public_key())
    good = sign_ticket(Ticket(OWNER, datetime.now(UTC) + timedelta(minutes=1)), key)
    foreign = sign_ticket(Ticket(OWNER, datetime.now(UTC) + timedelta(minutes=1)), Ed25519PrivateKey.generate())
    late = sign_ticket(Ticket(OWNER, datetime.now(UTC) - timedelta(minutes=1)), key)
    for _ in range(2):
        assert authorisation.verify([(b"authorization", f"bearer {good}".encode())], b"").owner == OWNER
        assert authorisation.verify([], f"ticket={good}".encode()).owner == OWNER
    for query in (b"", b"ticket=", b"ticket=x", f"ticket={foreign}".encode(), b"ticket=" + b"a" * 70_000):
        with pytest.raises(TicketRefused):
            authorisation.verify([], query)
    with pytest.raises(TicketOutdated):
        authorisation.verify([], f"ticket={late}".encode())
    with pytest.raises(BadRequest):
        authorisation.verify([], f"ticket={good}&ticket={good}".encode())
    with pytest.raises(BadRequest):
        authorisation.verify([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], b"")


def test_a_remembered_ticket_still_expires() -> None:
    key = Ed25519PrivateKey.generate()
    authorisation = Authorisation(key.public_key())
    # The signature's own leeway lets it in once; the ticket's time is over all the same.
    text = sign_ticket(Ticket(OWNER, datetime.now(UTC) - timedelta(seconds=2)), key)
    for _ in range(2):
        with pytest.raises(TicketOutdated):
            authorisation.verify([], f"ticket={text}".encode())


def test_a_query_with_too_many_fields_is_refused() -> None:
    with pytest.raises(BadRequest):
        one_parameter(b"&".join([b"a=1"] * 40), "after")
    assert one_header([(b"last-event-id", b" 0-1 ")], b"last-event-id") == "0-1"


def test_only_silence_is_broken_by_a_comment() -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0)])
    transport = watch(hub, story)
    heartbeat = Heartbeat(new_settings(heartbeat_seconds=15), hub)
    now = time.monotonic()
    for later, comments in [(1, 0), (14, 0), (16, 1), (20, 1), (32, 2)]:
        heartbeat.beat(now + later)
        stream = EventStream()
        list(stream.feed(bytes(transport.received)))
        assert (stream.comment_count, stream.last_event_id) == (comments, "0-0")


def test_who_does_not_read_is_evicted_and_who_is_old_is_sent_away() -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0), *(message(story.delta("가" * 30_000), 0, at) for at in range(1, 3))])
    stuck, old, young = watch(hub, story, kernel_bytes=0), watch(hub, story, expires=1.0), watch(hub, story)
    hub.take([message(story.delta("가" * 30_000), 0, 3), message(story.delta("나"), 0, 4)])
    assert stuck.paused
    Heartbeat(new_settings(slow_reader_seconds=30), hub).inspect(time.monotonic() + 31)
    assert (stuck.lost, old.closed, young.closed) == (True, True, False)
    assert dict(hub.tally.ended) == {"slow": 1, "lifetime": 1}
    assert bytes(old.received).endswith(b"\n\n")


class BrokenTransport(MemoryTransport):
    """Fails as no transport should, once it has connected."""

    broken = False
    failure_count = 0

    def __init__(self) -> None:
        super().__init__(1 << 30)
        self.failed_twice = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.broken:
            self.failure_count += 1
            if self.failure_count == 2:
                self.failed_twice.set()
            raise RuntimeError("secret words")
        super().write(data)


class HopelessTransport(BrokenTransport):
    """Cannot even be aborted."""

    def abort(self) -> None:
        raise RuntimeError("secret words")


def watch_over(transport: BrokenTransport, hub: Hub, story: TaskStory, expires: float = 1e9) -> None:
    log = hub.find(story.task_id, 0)
    assert log is not None
    transport.connect(TaskSubscriber(hub, hub.seats.take(OWNER), expires, log, None))
    transport.broken = True


def comment_count(transport: MemoryTransport) -> int:
    stream = EventStream()
    list(stream.feed(bytes(transport.received)))
    return stream.comment_count


def test_a_stream_that_fails_at_its_heartbeat_ends_and_the_others_hear_theirs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0)])
    broken, others = BrokenTransport(), [watch(hub, story) for _ in range(5)]
    watch_over(broken, hub, story)
    Heartbeat(new_settings(heartbeat_seconds=15), hub).beat(time.monotonic() + 16)
    assert [comment_count(transport) for transport in others] == [1] * 5
    assert broken.lost
    assert (hub.seats.taken_count, dict(hub.tally.ended)) == (5, {"failed": 1})
    assert "secret" not in "".join(capsys.readouterr())


def test_a_stream_that_fails_at_its_end_keeps_no_other_from_its_own() -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0)])
    broken, others = BrokenTransport(), [watch(hub, story, expires=1.0) for _ in range(5)]
    watch_over(broken, hub, story, expires=1.0)
    Heartbeat(new_settings(), hub).inspect(time.monotonic())
    assert [transport.closed for transport in others] == [True] * 5
    assert broken.lost


def test_what_fails_beside_the_heartbeat_does_not_stop_it() -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0)])
    transport = watch(hub, story)
    hub.partitions[0].logs[b"broken"] = cast("TaskLog", None)
    heartbeat, now = Heartbeat(new_settings(heartbeat_seconds=15), hub), time.monotonic()
    for tick in (300, 600):
        heartbeat.tick(tick, now + tick)
    assert comment_count(transport) == 2


async def test_heartbeats_go_on_after_an_error_that_nobody_expected() -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0)])
    hopeless = HopelessTransport()
    watch_over(hopeless, hub, story)
    running = asyncio.ensure_future(Heartbeat(new_settings(heartbeat_seconds=0.001), hub).run())
    again = asyncio.ensure_future(hopeless.failed_twice.wait())
    await asyncio.wait((running, again), timeout=30, return_when=asyncio.FIRST_COMPLETED)
    ended = running.done()
    running.cancel()
    again.cancel()
    await asyncio.gather(running, again, return_exceptions=True)
    assert not ended, "silence would look like a dead relay to every client"
    assert hopeless.failed_twice.is_set()


async def test_a_drain_ends_streams_between_frames_and_cuts_who_does_not_read() -> None:
    hub, story = new_hub(), TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0), message(story.delta("가" * 30_000), 0, 1)])
    stuck, reading = watch(hub, story, kernel_bytes=0), watch(hub, story)
    drain = Drain(new_settings(drain_seconds=0.2), hub)
    stopped = asyncio.Event()
    running = asyncio.ensure_future(drain.run(stopped.set))
    await asyncio.sleep(0)
    assert (reading.closed, drain.begun) == (False, False)
    drain.begin()
    await running
    stream = EventStream()
    assert [event.type for event in stream.feed(bytes(reading.received))] == ["snapshot"]
    assert (stream.incomplete, stream.retry_ms is not None, stuck.lost, stopped.is_set()) == (False, True, True, True)


def test_finished_tasks_make_room_first_then_running_ones_lose_their_oldest_words() -> None:
    hub = new_hub(max_bytes=30_000, max_task_bytes=1 << 20)
    done, running = TaskStory(new_task_id()), TaskStory(new_task_id())
    events: list[Event] = [done.accepted(), *(done.delta("가" * 500) for _ in range(9)), done.succeeded()]
    hub.take([message(event, 0, at) for at, event in enumerate(events)])
    finished = hub.find(done.task_id, 0)
    assert finished is not None
    before = json.loads(finished.snapshot())
    words: list[Event] = [running.accepted(), *(running.delta("나" * 100) for _ in range(30))]
    hub.take([message(event, 0, 100 + at) for at, event in enumerate(words)])
    assert hub.tally.sealed_count == 1
    assert json.loads(finished.snapshot()) == before
    more = [running.delta("다" * 100) for _ in range(200)]
    hub.take([message(event, 0, 200 + at) for at, event in enumerate(more)])
    log = hub.find(running.task_id, 0)
    assert hub.find(done.task_id, 0) is None
    assert log is not None
    assert (len(log.frames), hub.history.task_counts) == (64, {"running": 1, "finished": 0, "sealed": 0})
    assert json.loads(log.snapshot())["versions"][0]["text"] == "나" * 3000 + "다" * 20_000


def test_late_words_of_a_finished_task_that_left_memory_do_not_bring_it_back() -> None:
    hub, done = new_hub(max_bytes=5000), TaskStory(new_task_id())
    hub.take([message(done.accepted(), 0, 0), message(done.succeeded(), 0, 1)])
    crowd = [TaskStory(new_task_id()) for _ in range(10)]
    hub.take([message(story.accepted(), 0, 10 + at) for at, story in enumerate(crowd)])
    assert hub.find(done.task_id, 0) is None
    hub.take([message(done.begin_attempt(Attempt(9, 9)), 0, 50)])
    assert hub.find(done.task_id, 0) is None
    assert hub.tally.ignored["after_end"] == 1


def test_tasks_that_kafka_has_lost_are_forgotten_unless_somebody_watches() -> None:
    hub, watched, lonely = new_hub(), TaskStory(new_task_id()), TaskStory(new_task_id())
    hub.take([message(watched.accepted(), 0, 0), message(lonely.accepted(), 0, 1)])
    transport = watch(hub, watched)
    hub.expire(-1)
    assert (hub.find(watched.task_id, 0) is None, hub.find(lonely.task_id, 0) is None) == (False, True)
    hub.take([message(watched.delta("아직"), 0, 2)])
    assert read_all(bytes(transport.received))[-1].json["text"] == "아직"


def test_uvicorn_is_the_version_whose_insides_are_relied_on() -> None:
    assert uvicorn.__version__ == "0.54.0"
    for name in ("_start_asgi_task", "_unset_keepalive_if_required", "on_response_complete"):
        assert callable(getattr(HttpToolsProtocol, name)), name
    protocol = StreamProtocol.__new__(StreamProtocol)
    config = uvicorn.Config(lambda: None, log_config=None)
    HttpToolsProtocol.__init__(protocol, config, uvicorn.server.ServerState(), {}, asyncio.new_event_loop())
    for name in ("pipeline", "flow", "connections", "cycle", "parser", "transport", "scope", "headers"):
        assert hasattr(protocol, name), name
    protocol.loop.close()
    assert "chunked_encoding" in RequestResponseCycle.__init__.__code__.co_names
    assert "disconnected" in RequestResponseCycle.__init__.__code__.co_names


def test_every_refusal_has_its_own_answer() -> None:
    refusals = Refusal.__subclasses__()
    assert len({refusal.slug for refusal in refusals}) == len(refusals)
    assert all(400 <= refusal.status < 504 and issubclass(refusal, RelayError) for refusal in refusals)
    assert OUTSIDE == (0, 0)
