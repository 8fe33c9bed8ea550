"""`docker-compose.yml`: the whole system comes up, runs a task, and has it still after everything was stopped."""

import contextlib
import http.client
import secrets
import time
import urllib.request
from collections.abc import Iterator

import pytest

from contracts.lifecycle import Stage, TaskState
from deploy.containers.composition import Composition
from deploy.containers.images import Images
from deploy.local.ports import HOST, free_ports
from deploy.local.sample_notes import sample_notes
from deploy.local.viewer import Submitted, follow, submit
from tests.support.containers import engine

# The first test may have to make all images.
pytestmark = [pytest.mark.needs("docker"), pytest.mark.timeout(900)]
READY_SECONDS = 180
_POLL_SECONDS = 0.2


class RunningComposition:
    """A project of its own with ports of its own, which leaves nothing behind."""

    def __init__(self, images: Images) -> None:
        self.api_port, self.relay_port = free_ports(2)
        self.composition = Composition(
            f"draftstream-test-{secrets.token_hex(4)}",
            {
                **images.environment,
                "DRAFTSTREAM_API_PORT": str(self.api_port),
                "DRAFTSTREAM_RELAY_PORT": str(self.relay_port),
                "DRAFTSTREAM_SIMULATOR_PROFILE": "fast",
            },
        )

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.api_port}"

    def up(self) -> None:
        self.composition.up()
        until = time.monotonic() + READY_SECONDS
        for port in (self.relay_port, self.api_port):
            while not _is_ready(port):
                assert time.monotonic() < until, self.composition.logs()
                time.sleep(_POLL_SECONDS)

    def last_state(self, task: Submitted) -> TaskState:
        try:
            return list(follow(task, seconds=120))[-1]
        except TimeoutError:
            raise AssertionError(self.composition.logs()) from None


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    except (OSError, http.client.HTTPException):
        return False


@pytest.fixture
def running(images: Images) -> Iterator[RunningComposition]:
    composition = RunningComposition(images)
    try:
        composition.up()
        yield composition
    finally:
        composition.composition.down(with_records=True)
    assert not left_of(composition.composition.project)


def left_of(project: str) -> list[str]:
    mine = {"label": f"com.docker.compose.project={project}"}
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(engine())
        found = [*client.containers.list(all=True, filters=mine), *client.networks.list(filters=mine)]
        return [item.name for item in (*found, *client.volumes.list(filters=mine))]


def test_a_task_succeeds_and_is_still_there_after_a_restart_of_everything(running: RunningComposition) -> None:
    task = submit(running.api_url, sample_notes()[0].body)
    state = running.last_state(task)
    assert state.stage is Stage.SUCCEEDED, state.reason
    running.composition.down()
    running.up()
    assert running.last_state(task) == state
