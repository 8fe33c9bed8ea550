"""The whole system as a fixture: a real Kafka, the simulator, workers, projector, relay and API as processes."""

from collections.abc import Iterator

import pytest

from deploy.local.settings import LocalSettings
from deploy.local.system import System


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that all tests of a session share; leave everything running, or use `own_system`."""
    yield from started(tmp_path_factory.mktemp("system"))


@pytest.fixture
def own_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system for one test, which may kill any part of it."""
    yield from started(tmp_path_factory.mktemp("own"))


def started(run_directory: object, **changes: object) -> Iterator[System]:
    settings = LocalSettings.model_validate(
        {
            "run_directory": run_directory,
            "kafka_port": 0,
            "api_port": 0,
            "relay_port": 0,
            "simulator_port": 0,
            "simulator_profile": "fast",
            "demonstration": False,
            "KAFKA_BOOTSTRAP": "",
            "OPENAI_API_KEY": "",
            "OPENAI_BASE_URL": "https://api.openai.com/v1",
            **changes,
        }
    )
    with System(settings, grace_seconds=15) as running:
        yield running
