"""The private parts of Faust and aiokafka that the worker overrides or calls: an upgrade that changes one fails here.

A failing hash is a question, not a number to paste: read what changed, and whether our override still means the same.
"""

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver

from stream_processors.app import NoTables, WorkerApp
from stream_processors.transport import WorkConsumer, WorkConsumerThread, WorkProducer, WorkTransport
from stream_processors.wary_client import WaryClient

OVERRIDDEN = {
    driver.AIOKafkaConsumerThread._create_worker_consumer: "c2701bfc3e6f6cad",
    driver.Consumer._new_consumer_thread: "0870ec53dea75083",
    ThreadDelegateConsumer._getmany: "f9d47aa9010b5ff2",
    Consumer.commit: "a354437baaa08bf8",
    Consumer.perform_seek: "0e8c130ff4b0afd8",
    Consumer.on_partitions_revoked: "d04b7ae72c6fc206",
    Consumer.on_partitions_assigned: "29ce96596f05a18c",
    Consumer.verify_all_partitions_active: "4e0e46f5c297305d",
    driver.Producer._settings_extra: "a4c7bc41b6382223",
    driver.Producer._new_producer: "e72355c3430ed02f",
    AIOKafkaClient._get_conn: "68ce5d8391719d33",
    TableManager.on_start: "365dd25fbc0e0684",
    App._new_transport: "42db531312dd776f",
    App._new_producer_transport: "eb3b4aa6a8961275",
    App._create_directories: "a9f571c3b04abec3",
    App._on_rebalance_when_stopped: "1b172d9af8ff4eb6",
    App._consumer_wait_empty: "6bc313c48c064b16",
}
RELIED_ON = {
    App._on_partitions_revoked: "d5c895bbe57dc73a",
    App._on_partitions_assigned: "de932b7927db85b3",
    App._stop_consumer: "55854a5de12c3f52",
    App.on_stop: "bfe5a933defb2324",
    Consumer.getmany: "4b168d84882a70d6",
    Consumer._wait_next_records: "6218e1969a636b3f",
    Consumer._drain_messages: "44a2500309e83c63",
    Consumer._commit_handler.fun: "4e5da5df073082d6",
    Consumer.on_stop: "45b1d2210ce2b526",
    Consumer.on_buffer_full: "c8961679e0bcdce5",
    Consumer.on_buffer_drop: "4b57e8a418d5ad9c",
    Recovery._resume_streams: "d986a6710c1aca98",
    driver.ConsumerRebalanceListener.on_partitions_assigned: "1c1f8406ad3698a6",
    driver.Producer._ensure_producer: "5592a4bbdf251325",
    Fetcher.fetched_records: "be4348896b9b66af",
    GroupCoordinator.fetch_committed_offsets: "6c049c7379165952",
    GroupCoordinator.commit_offsets: "5cbe31af28d6cc06",
    GroupCoordinator._push_error_to_user: "743ff515bd7e2e38",
    GroupCoordinator._coordination_routine: "75273e127d4a4f5d",
    GroupCoordinator._heartbeat_routine: "61d01028952239d0",
    Fetcher._fetch_requests_routine: "2a8ec5932644c9b0",
    AIOKafkaConsumer.commit: "79b057d88220e5a2",
}


def fingerprint(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


@pytest.mark.parametrize("function", [*OVERRIDDEN, *RELIED_ON], ids=lambda function: function.__qualname__)
def test_what_the_worker_leans_on_has_not_changed(function: Callable[..., Any]) -> None:
    assert fingerprint(function) == {**OVERRIDDEN, **RELIED_ON}[function]


def test_the_versions_are_those_that_were_read() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")


@pytest.mark.parametrize(
    "ours", [WorkConsumerThread, WorkConsumer, WorkProducer, WorkTransport, WorkerApp, NoTables, WaryClient]
)
def test_every_method_that_looks_like_an_override_is_one_and_takes_the_same_arguments(ours: type) -> None:
    own = {"commit_marked", "find_standings", "seek_all", "hold", "release", "shell", "client"}
    own |= {"_commit_marked", "_find_standings", "_seek_all", "_commit_due", "_take_assignment", "_requests"}
    own |= {"find_loss", "_fetch", "rewind"}
    for name, method in vars(ours).items():
        if not inspect.isfunction(method) or name.startswith("__") or name in own:
            continue
        inherited = [getattr(base, name) for base in ours.__mro__[1:] if name in vars(base)]
        assert inherited, f"{name} overrides nothing"
        expected = list(inspect.signature(inherited[0]).parameters)
        assert list(inspect.signature(method).parameters) == expected, name
        assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(inherited[0]), name


def test_the_client_still_keeps_its_strategy_where_it_is_set() -> None:
    source = inspect.getsource(AIOKafkaConsumer)
    assert "assignors=self._partition_assignment_strategy" in source


def test_the_coordinator_still_tells_offset_and_metadata() -> None:
    assert "OffsetAndMetadata(offset, metadata)" in inspect.getsource(GroupCoordinator._do_fetch_commit_offsets)
