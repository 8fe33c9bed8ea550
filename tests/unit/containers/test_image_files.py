"""The Dockerfile and the composition name only what the services know: nothing drifts apart unseen."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from pydantic_settings import BaseSettings

from deploy.containers.images import SERVICES
from deploy.containers.settings import ImageSettings
from deploy.model_simulator.settings import Settings as SimulatorSettings
from producer_api.settings import Settings as ApiSettings
from sse_relay.settings import Settings as RelaySettings
from stream_processors.model_settings import ModelSettings
from stream_processors.settings import ProjectorSettings, WorkerSettings

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SETTINGS: dict[str, type[BaseSettings]] = {
    "API_": ApiSettings,
    "MODEL_": ModelSettings,
    "PROJECTOR_": ProjectorSettings,
    "RELAY_": RelaySettings,
    "SIMULATOR_": SimulatorSettings,
    "WORKER_": WorkerSettings,
}
SETTING = re.compile(rf"\b({'|'.join(SETTINGS)})([A-Z_]+)\b")


def composition() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


@pytest.mark.parametrize("file", ["Dockerfile", "docker-compose.yml", "docker-compose.openai.yml"])
def test_every_setting_that_is_given_to_a_service_is_one_it_has(file: str) -> None:
    given = SETTING.findall((ROOT / file).read_text(encoding="utf-8"))
    assert given
    unknown = {prefix + name for prefix, name in given if name.lower() not in SETTINGS[prefix].model_fields}
    assert not unknown


def test_every_service_has_a_target_and_a_container() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert targets >= set(SERVICES)
    assert {service["build"]["target"] for service in composition().values() if "build" in service} == set(SERVICES)


def test_the_composition_runs_the_pinned_kafka() -> None:
    assert composition()["kafka"]["image"] == f"${{KAFKA_IMAGE:-{ImageSettings().public_kafka}}}"


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in composition().values() for port in service.get("ports", ())]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_a_worker_is_killed_only_after_its_drain_deadline() -> None:
    grace = int(composition()["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > WorkerSettings.model_fields["drain_seconds"].default


def test_our_services_cannot_write_to_their_images_and_have_no_capabilities() -> None:
    jobs = {"topics", "keys"}
    ours = {name: service for name, service in composition().items() if "build" in service}
    assert all(service["read_only"] for service in ours.values())
    assert all(service["cap_drop"] == ["ALL"] for name, service in ours.items() if name not in jobs)
