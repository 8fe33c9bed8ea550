"""Fixtures that hand out a real Kafka; nothing is imported or started until a test asks for one."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from deploy.local.broker import Broker
    from deploy.local.cluster import Cluster


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker that all tests share: KAFKA_BOOTSTRAP if set, else one of our own.

    Topics are not isolated: put `topic_prefix` before their names. Never stop this broker; `broker` is for that.
    """
    if running := os.environ.get("KAFKA_BOOTSTRAP"):
        yield running
        return
    yield from (broker.bootstrap for broker in _started(tmp_path_factory.mktemp("kafka")))


@pytest.fixture
def broker(tmp_path: Path) -> "Iterator[Broker]":
    """Start a broker for this test alone, which may kill, restart and pause it."""
    yield from _started(tmp_path / "kafka")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cluster]":
    """Start three brokers for this module's tests, each of which leaves all three running."""
    from deploy.local.cluster import Cluster

    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture
def topic_prefix() -> str:
    """Return a prefix that no other test and no other run has."""
    return f"t{secrets.token_hex(6)}"


def _started(data: Path) -> "Iterator[Broker]":
    from deploy.local.broker import Broker

    broker = Broker(data)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()  # its data is thrown away: no reason to wait for a clean end
