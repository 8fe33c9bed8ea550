"""Small parts of the worker's shell: remembered cancellations, quiet logs, settings, health."""

import io
import json
import logging
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from stream_processors import cancellations
from stream_processors.cancellations import Requested
from stream_processors.health import HealthServer, Pulse
from stream_processors.kafka_publisher import partition_of
from stream_processors.log_output import RateLimit
from stream_processors.settings import WorkerSettings


class ManualClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_cancellation_is_remembered_as_long_as_its_task_can_live() -> None:
    clock = ManualClock()
    requested = Requested(timedelta(seconds=60), clock)
    requested.add(b"a", 0, clock.now)
    clock.now += 59
    requested.add(b"b", 1, clock.now)
    assert (b"a" in requested, requested.of(1)) == (True, {b"b"})
    clock.now += 2
    requested.add(b"c", 1, clock.now)
    assert (b"a" in requested, requested.of(1)) == (False, {b"b", b"c"})


def test_the_oldest_cancellations_are_forgotten_when_there_are_too_many() -> None:
    requested = Requested(timedelta(seconds=60), ManualClock())
    for number in range(cancellations.MAX_REMEMBERED_COUNT + 1):
        requested.add(b"%d" % number, 0, 1000.0)
    assert b"0" not in requested
    assert b"1" in requested


def test_a_loggers_flood_becomes_five_lines_and_a_number() -> None:
    clock = ManualClock()
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.addFilter(RateLimit(clock))
    logger = logging.getLogger("tests.flood")
    logger.propagate = False
    logger.addHandler(handler)
    for _ in range(1000):
        logger.error("the broker is %s", "away")
    clock.now += 10
    logger.error("the broker is %s", "away")
    lines = output.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[-1] == "the broker is away (995 more lines of this logger were held back)"


def test_another_logger_is_not_held_back_by_a_flood() -> None:
    limit = RateLimit(ManualClock())
    one, other = (logging.LogRecord(name, logging.ERROR, "", 0, "x", (), None) for name in ("one", "other"))
    assert [limit.filter(one) for _ in range(7)] == [True] * 5 + [False] * 2
    assert limit.filter(other)


def test_settings_that_would_lose_the_session_are_refused() -> None:
    with pytest.raises(ValidationError, match="third"):
        WorkerSettings(heartbeat_seconds=5, session_seconds=10)
    with pytest.raises(ValidationError):
        WorkerSettings(drain_seconds=31)
    with pytest.raises(ValidationError):
        WorkerSettings(slots=0)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_TOPIC_PREFIX", "other")
    monkeypatch.setenv("WORKER_SLOTS", "7")
    settings = WorkerSettings()
    assert (settings.topics.requests.name, settings.slots) == ("other.requests", 7)


@pytest.mark.parametrize(
    ("key", "partition"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_keys_find_the_partition_that_kafkas_own_clients_find(key: bytes, partition: int) -> None:
    """Hashes from Kafka's own tests of murmur2 (org.apache.kafka.common.utils.UtilsTest)."""
    assert partition_of(key, 12) == (partition & 0x7FFFFFFF) % 12


def ask(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_tells_a_stuck_loop_and_every_complaint() -> None:
    clock = ManualClock()
    pulse = Pulse(clock)
    complaints: list[str] = []
    server = HealthServer("127.0.0.1", 0, CollectorRegistry(), pulse, lambda: complaints)
    server.start()
    try:
        assert ask(server.port, "/livez")[0] == ask(server.port, "/readyz")[0] == ask(server.port, "/metrics")[0] == 200
        clock.now += 31
        complaints.append("no assignment yet")
        assert ask(server.port, "/livez")[0] == 503
        status, body = ask(server.port, "/readyz")
        assert (status, json.loads(body)) == (503, {"ok": False, "complaints": ["no assignment yet"]})
        pulse.beat()
        assert ask(server.port, "/livez")[0] == 200
        assert ask(server.port, "/elsewhere")[0] == 404
    finally:
        server.stop()
