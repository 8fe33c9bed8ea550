"""The hub's rim: a record that nobody expected does not take the rest of its batch along."""

from collections.abc import Callable
from typing import NoReturn

import pytest
import structlog

from contracts.task import OwnerId, new_task_id
from sse_relay.hub import Hub
from sse_relay.record import KafkaMessage
from sse_relay.seats import Seats
from sse_relay.subscriber import OwnerSubscriber, Subscriber, TaskSubscriber
from sse_relay.tally import Tally
from tests.support.event_stream import read_all
from tests.support.relay_events import TaskStory, message
from tests.support.stream_transport import MemoryTransport

OWNER = OwnerId("owner")
OpenStream = Callable[[Hub, TaskStory], Subscriber]


class BrokenMessage:
    """A record of which only the place can be read."""

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 2

    def fail(self) -> NoReturn:
        raise RuntimeError("학생의 글")

    key = value = headers = fail


def task_stream(hub: Hub, story: TaskStory) -> Subscriber:
    log = hub.find(story.task_id, 0)
    assert log is not None
    return TaskSubscriber(hub, hub.seats.take(OWNER), 1e9, log, None)


def owner_stream(hub: Hub, _: TaskStory) -> Subscriber:
    return OwnerSubscriber(hub, hub.seats.take(OWNER), 1e9, hub.owner(OWNER), None)


@pytest.mark.parametrize("open_stream", [task_stream, owner_stream])
def test_a_record_that_fails_unexpectedly_is_counted_and_the_rest_of_its_batch_is_sent(
    open_stream: OpenStream,
) -> None:
    hub = Hub([0], Seats(100, 100), Tally(), max_bytes=1 << 20, max_task_bytes=1 << 20)
    story, transport = TaskStory(new_task_id()), MemoryTransport(1 << 30)
    hub.take([message(story.accepted(), 0, 0)])
    transport.connect(open_stream(hub, story))
    batch: list[KafkaMessage] = [message(story.delta("앞"), 0, 1), BrokenMessage(), message(story.delta("뒤"), 0, 3)]
    with structlog.testing.capture_logs() as logged:
        hub.take(batch)
    texts = [event.json["text"] for event in read_all(bytes(transport.received)) if event.type == "version.delta"]
    assert texts == ["앞", "뒤"]
    assert hub.partitions[0].next_offset == 4
    tally = hub.tally
    assert (tally.record_count, tally.applied_count, dict(tally.skipped)) == (4, 3, {"unexpected": 1})
    assert logged == [{"event": "record.failed", "reason": "RuntimeError", "log_level": "error"}]


def test_owners_who_only_looked_are_forgotten_and_those_who_look_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sse_relay.hub._MAX_EMPTY_OWNERS", 2)
    hub = Hub([0], Seats(100, 10), Tally(), max_bytes=1 << 20, max_task_bytes=1 << 20)
    watching = OwnerSubscriber(hub, hub.seats.take(OWNER), 1e9, hub.owner(OWNER), None)
    transport = MemoryTransport(1 << 30)
    transport.connect(watching)
    for number in range(10):
        name = OwnerId(f"visitor-{number}")
        visitor = OwnerSubscriber(hub, hub.seats.take(name), 1e9, hub.owner(name), None)
        visitor.connection_made(MemoryTransport())
        visitor.connection_lost(None)
    assert OWNER in hub.owners
    assert len(hub.owners) == 3
    story = TaskStory(new_task_id())
    hub.take([message(story.accepted(), 0, 0)])
    assert "task.accepted" in [event.type for event in read_all(bytes(transport.received))]
    watching.connection_lost(None)
    assert OWNER in hub.owners
