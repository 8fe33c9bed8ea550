"""The publisher: records to Kafka, through the worker's one idempotent producer."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2

from contracts.codec import Record
from contracts.cursor import Position
from contracts.dead_letter import DeadLetter, encode_dead_letter
from contracts.topics import Topics

_FULL_BUFFER_TRIES = 20

log = structlog.get_logger(__name__)


def partition_of(key: bytes, partition_count: int) -> int:
    """Return the partition that every Kafka client finds for a key (murmur2, sign bit cleared)."""
    return int(murmur2(key) & 0x7FFFFFFF) % partition_count


class KafkaPublisher:
    """Publishes events and dead letters, in the order of the calls."""

    def __init__(self, producer: Callable[[], Any], topics: Topics) -> None:
        self._producer = producer
        self._topics = topics

    async def publish(self, record: Record) -> "asyncio.Future[Position]":
        """Wait for room in the producer's buffer; the future is Kafka's acknowledgement."""
        return await self._send(self._topics.events.name, record)

    async def bury(
        self, letter: DeadLetter, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> Position:
        """Keep a record that could not be used, and return where; without its value if it only fits so."""
        record = encode_dead_letter(letter, key, value, headers)
        try:
            position = await (await self._send(self._topics.dead_letters.name, record))
        except MessageSizeTooLargeError:
            record = encode_dead_letter(letter, key, None, [])
            position = await (await self._send(self._topics.dead_letters.name, record))
        log.warning("record.buried", reason=letter.reason, topic=letter.topic, position=str(letter.position))
        return position

    async def _send(self, topic: str, record: Record) -> "asyncio.Future[Position]":
        sent = await self._enqueue(topic, record)
        acknowledged: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        sent.add_done_callback(lambda done: _settle(acknowledged, done))
        return acknowledged

    async def _enqueue(self, topic: str, record: Record) -> "asyncio.Future[Any]":
        """Wait for room, twenty times as long as the producer does: some ten minutes without a broker."""
        for _ in range(_FULL_BUFFER_TRIES - 1):
            try:
                return await self._hand_over(topic, record)
            except KafkaTimeoutError:
                log.warning("publisher.buffer_full")
        return await self._hand_over(topic, record)

    async def _hand_over(self, topic: str, record: Record) -> "asyncio.Future[Any]":
        sent: asyncio.Future[Any] = await self._producer().send(
            topic, record.value, key=record.key, headers=record.headers
        )
        return sent


def _settle(acknowledged: "asyncio.Future[Position]", sent: "asyncio.Future[Any]") -> None:
    if acknowledged.done():
        return
    if sent.cancelled():
        acknowledged.cancel()
    elif (error := sent.exception()) is not None:
        acknowledged.set_exception(error)
        acknowledged.exception()  # whoever waits still gets it; a delta that nobody waits for is no log line
    else:
        acknowledged.set_result(Position(sent.result().partition, sent.result().offset))
