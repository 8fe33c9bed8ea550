"""`python -m producer_api` as an operator sees it: it starts, says what is wrong, and ends in peace."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from contracts.topics import Topics
from deploy.local.ports import free_ports
from deploy.topics import ensure_topics
from tests.support.producer_api import SUBMISSION, ask_until, wait_ready, write_keys

ROOT = Path(__file__).parents[2]
SECRET = "비밀스러운메모"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keys = {f"API_{name.upper()}": str(file) for name, file in write_keys(tmp_path).items()}
    port, nobody = free_ports(2)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("API_")}
    return clean | keys | {"API_PORT": str(port), "API_BOOTSTRAP": f"127.0.0.1:{nobody}"}


@contextmanager
def running(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "producer_api"], cwd=ROOT, env=environment, stderr=output, stdout=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def client_of(environment: dict[str, str]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{environment['API_PORT']}", timeout=30)


async def wait_alive(client: httpx2.AsyncClient) -> None:
    async def ask() -> httpx2.Response:
        try:
            return await client.get("/livez")
        except httpx2.ConnectError:
            return httpx2.Response(503)

    await ask_until(ask, lambda answer: answer.status_code == 200)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_lives_without_kafka_and_ends_in_peace(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    with running(environment, log) as process:
        async with client_of(environment) as client:
            await wait_alive(client)
            answer = await client.post("/v1/tasks", json={**SUBMISSION, "notes": SECRET})
            assert answer.status_code == 503
            assert "server" not in answer.headers
        process.send_signal(number)
        assert process.wait(20) == 0
    text = log.read_text()
    assert "Traceback" not in text
    assert SECRET not in text
    assert json.dumps(SECRET)[1:-1] not in text
    assert all({"event", "level", "timestamp"} <= json.loads(line).keys() for line in text.splitlines())


async def test_with_kafka_it_takes_submissions_and_closes_its_connections(
    environment: dict[str, str], kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    await ensure_topics(kafka, Topics(topic_prefix, 3))
    more = {"API_BOOTSTRAP": kafka, "API_TOPIC_PREFIX": topic_prefix, "API_PARTITION_COUNT": "3"}
    log = tmp_path / "log"
    with running(environment | more, log) as process:
        async with client_of(environment) as client:
            await wait_alive(client)
            await wait_ready(client)
            answer = await client.post("/v1/tasks", json={**SUBMISSION, "notes": SECRET})
            assert answer.status_code == 202
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    text = log.read_text()
    assert answer.json()["task_id"] in text
    assert answer.json()["ticket"] not in text
    assert SECRET not in text
    assert "Unclosed" not in text


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "cookie owners on the network": ({"API_HOST": "0.0.0.0"}, "API_ALLOW_LOCAL_IDENTITY_ON_NETWORK"),
    "no such key": ({"API_TICKET_KEY_FILE": "/nonexistent"}, "/nonexistent"),
    "a key that is none": ({"API_TICKET_KEY_FILE": str(ROOT / "README.md")}, "producer_api: "),
    "a short secret": ({"API_SECRET_FILE": "/dev/null"}, "at least 32 bytes"),
    "no number": ({"API_PORT": "http"}, "port"),
}


@pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG.keys())
def test_settings_that_cannot_be_used_are_told_in_a_sentence(
    environment: dict[str, str], change: dict[str, str], reason: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "producer_api"],
        cwd=ROOT,
        env=environment | change,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr
