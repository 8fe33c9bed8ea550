"""The whole system with a real Kafka: what dies on the way is not noticed by a viewer."""

import functools
import json
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from contracts.codec import decode_event_value
from contracts.events import VersionCompleted, VersionDelta, VersionPhase
from contracts.lifecycle import Stage, TaskState, VersionStage, reduce
from contracts.snapshot import decode_snapshot
from contracts.topics import Topics
from deploy.local.sample_notes import sample_notes
from deploy.local.system import System
from deploy.local.viewer import Submitted, follow, submit
from tests.chaos.log_reader import LogReader

SLOW = {"first_text_seconds": [0.1, 0.3], "tokens_per_second": [60, 80], "delta_seconds": 0.05, "text_seconds": 4.0}


class Following(threading.Thread):
    """A viewer in the background that notes every state it saw."""

    def __init__(self, task: Submitted) -> None:
        super().__init__(daemon=True)
        self.states: list[TaskState] = []
        self.error: Exception | None = None
        self._task = task
        self._changed = threading.Condition()
        self.start()

    def run(self) -> None:
        try:
            for state in follow(self._task, seconds=100):
                with self._changed:
                    self.states.append(state)
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - the test raises it again
            self.error = error

    def wait_for(self, condition: Callable[[TaskState], bool], seconds: float = 100) -> TaskState:
        with self._changed:
            found = self._changed.wait_for(lambda: bool(self.states) and condition(self.states[-1]), seconds)
        if self.error:
            raise self.error
        assert found, f"not seen within {seconds} s; last: {self.states[-1].stage if self.states else 'nothing'}"
        return self.states[-1]


def pace(system: System, **settings: object) -> None:
    control = f"http://127.0.0.1:{system.ports.simulator}/control/pace"
    httpx2.put(control, json=settings, timeout=10).raise_for_status()


def in_mid_text(state: TaskState) -> bool:
    return sum(len(version.text) > 20 for version in state.versions) == 3


def assert_three_finished_versions(state: TaskState) -> None:
    assert state.stage is Stage.SUCCEEDED
    assert not state.degraded
    assert [version.stage for version in state.versions] == [VersionStage.COMPLETED] * 3
    assert all(version.text and version.bytes == len(version.text.encode()) for version in state.versions)


def assert_goes_on_to_the_end(snapshot: str, events: list[tuple[str, str]]) -> None:
    """A snapshot may come at any moment of a task: what is not in it has to be in the events behind it."""
    first, _ = decode_snapshot(snapshot)
    told = [decode_event_value(kind, data.encode()) for kind, data in events]
    assert_three_finished_versions(functools.reduce(reduce, told, first))
    assert [event.type for event in told if event.terminal] == ([] if first.ended else ["task.succeeded"])
    assert first.ended or told[-1].terminal
    unwritten = {each.version for each in first.versions if each.stage is VersionStage.WAITING}
    unfinished = {each.version for each in first.versions if each.stage is not VersionStage.COMPLETED}
    assert {event.version for event in told if isinstance(event, VersionPhase)} >= unwritten
    assert {event.version for event in told if isinstance(event, VersionDelta)} >= unwritten
    assert {event.version for event in told if isinstance(event, VersionCompleted)} == unfinished


@pytest.fixture
def mid_task(own_system: System) -> tuple[System, Following]:
    """A system with one task whose three versions are being written."""
    pace(own_system, **SLOW)
    following = Following(submit(own_system.api_url, sample_notes()[0].body))
    following.wait_for(in_mid_text)
    return own_system, following


def test_notes_become_three_versions_and_one_result(system: System) -> None:
    task = submit(system.api_url, sample_notes()[0].body)
    state = list(follow(task, seconds=60))[-1]
    assert_three_finished_versions(state)
    reader = LogReader(system.bootstrap, Topics().results.name, 12)
    results: list[dict[str, Any]] = []
    until = time.monotonic() + 20
    while not results and time.monotonic() < until:
        results = [json.loads(seen.value or b"") for seen in reader.read() if seen.key == task.task_id.encode()]
    reader.close()
    assert len(results) == 1
    assert [version["text"] for version in results[0]["versions"]] == [version.text for version in state.versions]


def test_a_worker_killed_in_mid_task_is_not_noticed(mid_task: tuple[System, Following]) -> None:
    system, following = mid_task
    system.worker().kill()
    system.worker().launch()
    state = following.wait_for(lambda state: state.ended)
    assert_three_finished_versions(state)
    assert state.progress.hole_count == 0


def test_a_relay_killed_in_mid_stream_is_not_noticed(mid_task: tuple[System, Following]) -> None:
    system, following = mid_task
    system.relay.kill()
    system.relay.launch()
    state = following.wait_for(lambda state: state.ended)
    assert_three_finished_versions(state)
    assert state.progress.ignored_count == 0, "the relay sent something twice"
    texts = [seen.version(1).text for seen in following.states if seen.version(1).stage is VersionStage.DRAFTING]
    assert all(after.startswith(before) for before, after in pairwise(texts))


def test_a_broker_restart_in_mid_task_is_not_noticed(mid_task: tuple[System, Following]) -> None:
    system, following = mid_task
    system.brokers[0].kill()
    system.brokers[0].start()
    assert_three_finished_versions(following.wait_for(lambda state: state.ended))


def test_everything_killed_at_once_goes_on_after_a_start(mid_task: tuple[System, Following]) -> None:
    system, following = mid_task
    for service in system.services.values():
        service.kill()
    system.brokers[0].kill()
    system.brokers[0].start()
    for service in system.services.values():
        service.launch()
    assert_three_finished_versions(following.wait_for(lambda state: state.ended))


def test_curl_sees_the_documented_protocol(system: System) -> None:
    sample = sample_notes()[1].body
    task = submit(system.api_url, {**sample, "notes": f"{sample['notes']} [[fault:pace text_seconds=6]]"})
    curl = ["curl", "-sN", "--max-time", "60", f"{task.events_url}?ticket={task.ticket}"]
    stream = subprocess.run(curl, capture_output=True, text=True, check=True, timeout=90).stdout
    blocks = [block.split("\n") for block in stream.split("\n\n") if block and not block.startswith(":")]
    events = [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]
    named = [event for event in events if "event" in event]
    assert named[0]["event"] == "snapshot"
    assert_goes_on_to_the_end(named[0]["data"], [(event["event"], event["data"]) for event in named[1:]])
    assert all(json.loads(event["data"])["task_id"] == task.task_id and event["id"] for event in named)
    assert len({event["id"] for event in named}) == len(named)

    after = [*curl[:-1], "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Last-Event-ID: {named[-1]['id']}", curl[-1]]
    assert subprocess.run(after, capture_output=True, text=True, check=True, timeout=30).stdout == "204"
