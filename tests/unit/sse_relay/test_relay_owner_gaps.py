"""Owner streams of a relay that has old tasks, or a look-back window."""

from pathlib import Path

import pytest

from contracts.task import new_task_id
from sse_relay.settings import Settings
from tests.support.event_stream import read_all
from tests.support.relay_events import TaskStory
from tests.support.stream_transport import MemoryTransport
from tests.unit.sse_relay.test_relay_stream import Scene, story_events, ticket


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(ticket_public_key_file=tmp_path / "k", partition_count=3, catch_up_seconds=0.2, max_archive_reads=1)


async def test_an_old_task_that_was_read_again_and_left_does_not_make_its_owners_stream_repeat_for_ever(
    settings: Settings,
) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    positions = scene.write(*story_events(story), story.succeeded(), seen=False)
    scene.begin(len(positions), cut=True)
    await scene.events(ticket(story.task_id, positions[0]), story.task_id)
    scene.hub.expire(-1.0)
    subscriber = await scene.streams.open_owner(ticket(), "")
    transport = MemoryTransport(1 << 20, 1 << 10)
    transport.connect(subscriber)
    for _ in range(100):
        transport.read()
    events = read_all(bytes(transport.received))
    assert [event.type for event in events] == ["synced"]


async def test_an_owners_stream_resumes_without_a_gap_although_the_look_back_window_cuts_other_partitions(
    settings: Settings,
) -> None:
    scene, story = Scene(settings), TaskStory(new_task_id())
    scene.kafka.records = [(0, story.accepted())] * 10
    scene.begin(10, cut=True)
    positions = scene.write(*story_events(story))
    subscriber = await scene.streams.open_owner(ticket(), str(positions[1]))
    assert [event.type for event in scene.seen_by(subscriber)] == ["version.delta", "version.delta"]
