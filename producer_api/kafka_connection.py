"""Everything of this service that talks to Kafka, started and ended together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from producer_api.kafka_watch import KafkaWatch
from producer_api.lag import queue_lag
from producer_api.publisher import KafkaPublisher
from producer_api.request_index import RequestIndex
from producer_api.request_log import RequestLog
from producer_api.settings import Settings

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """The three parts that are connected to Kafka, each kept going by its `run`."""

    publisher: KafkaPublisher
    log: RequestLog
    watch: KafkaWatch

    @classmethod
    def of(cls, settings: Settings) -> "KafkaConnection":
        """Build them; nothing is connected yet."""
        topics = settings.topics
        window = timedelta(seconds=settings.idempotency_window_seconds)
        index = RequestIndex(window, settings.remembered_task_count, utc_now)
        written = (topics.events.name, topics.requests.name, topics.cancellations.name)
        return cls(
            KafkaPublisher(settings.bootstrap, written, settings.unacknowledged_count, settings.kafka_deadline_seconds),
            RequestLog(settings.bootstrap, topics.requests.name, topics.partition_count, window, index, utc_now),
            KafkaWatch(settings.bootstrap, topics, settings.workers_group, settings.kafka_check_seconds),
        )

    def problem(self) -> str | None:
        """Say why nothing can be accepted right now, or None."""
        if self.watch.problem is not None:
            return self.watch.problem
        if not self.publisher.connected:
            return "Kafka cannot be written to"
        if not self.log.caught_up:
            return "the requests topic has not been read back yet"
        return None

    def lag(self) -> int | None:
        """Return how many tasks wait for the workers, or None when that is not known."""
        return queue_lag(self.watch.committed, self.log.end_offsets(), self.log.first_offsets)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the three going; on leaving, each is told to stop and has closed what it opened."""
        tasks = [asyncio.create_task(_supervise(part)) for part in (self.publisher, self.log, self.watch)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _supervise(part: KafkaPublisher | RequestLog | KafkaWatch) -> None:
    """Run a part, and begin again when it fails in a way that nobody has thought of."""
    while True:
        try:
            await part.run()
        except Exception as error:  # noqa: BLE001  the rim of a background loop: it must not end while we serve
            _log.error("background.failed", part=type(part).__name__, error=type(error).__name__)
        await asyncio.sleep(1)


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
