"""Writing to Kafka: acknowledged by all replicas within a deadline, or refused.

An idempotent producer keeps what it cannot deliver, and delivers it whenever the broker is back: cancelling a waiter
does not withdraw the record. So a producer that let a deadline pass is given up, and with it everything that it still
holds; a new one takes over as soon as Kafka answers. Until then every record is refused before it is written.
"""

import asyncio
import contextlib
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

from contracts.codec import Record
from contracts.cursor import Position
from producer_api.backoff import pauses
from producer_api.deadline import Deadline
from producer_api.errors import KafkaUnavailable

AWAY = "Kafka cannot be reached; send the same request later, a submission with the same Idempotency-Key"
LATE = "Kafka did not answer in time; send the same request again, a submission with the same Idempotency-Key"
FULL = "too many requests are waiting for Kafka"
_REQUEST_TIMEOUT_MS = 5_000
_START_SECONDS = 5.0
_FLUSH_SECONDS = 5.0
_CLOSE_SECONDS = 10.0

_log = structlog.get_logger()


class Publisher(Protocol):
    """Writes records so that they stay written."""

    async def publish(self, topic: str, record: Record, deadline: Deadline) -> Position:
        """Return where the record is, when Kafka has it; raise KafkaUnavailable."""
        ...


class KafkaPublisher:
    """A publisher over one aiokafka producer at a time; `run` keeps one connected.

    At most `unacknowledged_count` records wait for Kafka; more are refused.
    """

    def __init__(
        self, bootstrap: str, topics: tuple[str, ...], unacknowledged_count: int, grace_seconds: float
    ) -> None:
        """Describe it; `grace_seconds` is how long a producer in doubt may still deliver to those who wait for it."""
        self._bootstrap = bootstrap
        self._topics = topics
        self._most = unacknowledged_count
        self._grace_seconds = grace_seconds
        self._producer: AIOKafkaProducer | None = None
        self._doubt = asyncio.Event()
        self._unacknowledged: set[asyncio.Future[Any]] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a producer that is not in doubt."""
        return self._producer is not None

    @property
    def unacknowledged(self) -> int:
        """How many records wait for Kafka."""
        return len(self._unacknowledged)

    async def publish(self, topic: str, record: Record, deadline: Deadline) -> Position:
        """Return where the record is, when all replicas have it; raise KafkaUnavailable."""
        if (producer := self._producer) is None:
            raise KafkaUnavailable(AWAY)
        if self.unacknowledged >= self._most:
            raise KafkaUnavailable(FULL)
        try:
            async with deadline.limit():
                future = await producer.send(topic, value=record.value, key=record.key, headers=record.headers)
                self._unacknowledged.add(future)
                future.add_done_callback(self._unacknowledged.discard)
                written = await asyncio.shield(future)
        except (KafkaError, TimeoutError) as error:
            self._give_up(producer, error)
            raise KafkaUnavailable(LATE) from None
        return Position(written.partition, written.offset)

    async def run(self) -> None:
        """Keep a producer connected until cancelled; then flush it, bounded, and close it."""
        async with asyncio.TaskGroup() as retirements:
            while True:
                producer = await self._connect()
                self._doubt.clear()
                self._producer = producer
                _log.info("publisher.connected")
                try:
                    await self._doubt.wait()
                except asyncio.CancelledError:
                    self._producer = None
                    await _finish(producer)
                    raise
                retirements.create_task(self._retire(producer))

    def _give_up(self, producer: AIOKafkaProducer, error: Exception) -> None:
        if self._producer is producer:
            _log.warning("publisher.given_up", error=type(error).__name__)
            self._producer = None
            self._doubt.set()

    async def _retire(self, producer: AIOKafkaProducer) -> None:
        """Leave those who still wait their time, then withdraw what was not delivered."""
        try:
            await asyncio.sleep(self._grace_seconds)
        finally:
            await _abandon(producer)

    async def _connect(self) -> AIOKafkaProducer:
        pause = pauses()
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await producer.start()
                    for topic in self._topics:
                        await producer.partitions_for(topic)
            except (KafkaError, OSError, TimeoutError) as error:
                _log.warning("publisher.unconnected", error=type(error).__name__)
                await _abandon(producer)
            except asyncio.CancelledError:
                await _abandon(producer)
                raise
            else:
                return producer
            await asyncio.sleep(next(pause))


async def _finish(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FLUSH_SECONDS):
            await producer.flush()
    await _abandon(producer)


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer and drop what it still holds; the public `stop()` would wait for as long as Kafka is away."""
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer._sender.close()
    producer._message_accumulator.fail_all(ProducerClosed())
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer.stop()
