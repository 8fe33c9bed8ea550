"""What a broken version, and one with very many findings, does to its task."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from aiokafka.errors import MessageSizeTooLargeError

from contracts.codec import Record
from contracts.cursor import Position
from contracts.events import Reason, TaskSucceeded, VersionStatus
from stream_processors.app import InProcess
from stream_processors.dispatcher import Job
from stream_processors.kafka_publisher import KafkaPublisher
from stream_processors.log_reader import LogReader
from stream_processors.model import Delta, Finished, ModelCall
from stream_processors.request_handler import RequestHandler, Worker
from tests.support.clock import virtual_time
from tests.support.fake_model import FakeModel, Script
from tests.support.generation import Generation
from tests.unit.stream_processors.test_request_handler import TOPICS, MemoryCemetery, a_delivery


class BreakingModel(FakeModel):
    """Breaks our own code in one version, after the others are done."""

    async def stream(self, call: ModelCall) -> AsyncIterator[Delta | Finished]:
        if call.version == 3:
            self.calls.append(call)
            await asyncio.sleep(60)
            raise KeyError("a defect of ours")
        async for item in super().stream(call):
            yield item


class NarrowPublisher(MemoryCemetery):
    """Refuses what the worker's producer refuses: records over 1,000,000 bytes."""

    async def publish(self, record: Record) -> "asyncio.Future[Position]":
        if len(record.value) > 1_000_000:
            raise MessageSizeTooLargeError
        return await super().publish(record)


def a_handler(generation: Generation, publisher: MemoryCemetery) -> RequestHandler:
    runner = InProcess(cast("KafkaPublisher", publisher), generation.services)
    return RequestHandler(
        Worker("stream_processors/test", 1000),
        TOPICS,
        publisher,
        cast("LogReader", None),
        run=runner,
        run_in_child=runner,
    )


@virtual_time
async def test_a_version_that_breaks_our_code_leaves_the_others_alone_and_they_are_not_paid_for_twice() -> None:
    publisher, model = MemoryCemetery(), BreakingModel()
    generation = Generation(model=model, publisher=publisher)
    await a_handler(generation, publisher)(Job(a_delivery(generation.request), None, 0, generation=3))
    assert [len(model.calls_of(number)) for number in (1, 2)] == [1, 1]
    (ended,) = publisher.of(TaskSucceeded)
    assert ended.degraded
    assert [one.status for one in ended.versions] == [VersionStatus.COMPLETED] * 2 + [VersionStatus.FAILED]
    assert ended.versions[2].reason is Reason.INTERNAL


@virtual_time
async def test_a_text_with_thousands_of_findings_does_not_end_the_worker() -> None:
    publisher = NarrowPublisher()
    text = "전교 1등을 함. " * 1500
    generation = Generation(model=FakeModel(default=Script(text, piece_count=3)), publisher=publisher)
    await a_handler(generation, publisher)(Job(a_delivery(generation.request), None, 0, generation=3))
    assert generation.terminal
