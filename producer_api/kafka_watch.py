"""Looking at Kafka every few seconds: is it there, are the topics as declared, how far have the workers come."""

import asyncio
import contextlib
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.topics import Topics
from producer_api.backoff import pauses

_LOOK_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_FAILURES_OF_AN_OUTAGE = 2
"""One failure may be one broker of several; the next look asks all of them."""

_log = structlog.get_logger()


class KafkaWatch:
    """What the last look found; `problem` is None when Kafka can be used."""

    def __init__(self, bootstrap: str, topics: Topics, workers_group: str, pause_seconds: float) -> None:
        self.problem: str | None = "Kafka has not been looked at yet"
        self.committed: dict[int, int] | None = None
        self._bootstrap = bootstrap
        self._topics = topics
        self._group = workers_group
        self._pause_seconds = pause_seconds
        self._failure_count = 0

    async def run(self) -> None:
        """Look until cancelled."""
        pause = pauses()
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=int(_LOOK_SECONDS * 1000))
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await admin.start()
                while True:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._look(admin)
                    pause = pauses()
                    await asyncio.sleep(self._pause_seconds)
            except Exception as error:  # noqa: BLE001  a rim: a look that fails in any way has not seen Kafka
                self._fail(error)
            finally:
                with contextlib.suppress(KafkaError, OSError, TimeoutError):
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await admin.close()
            await asyncio.sleep(next(pause))

    def _fail(self, error: Exception) -> None:
        self._failure_count += 1
        self.committed = None
        if self._failure_count >= _FAILURES_OF_AN_OUTAGE:
            self.problem = "Kafka cannot be reached"
            _log.warning("kafka.unreachable", error=type(error).__name__)

    async def _look(self, admin: AIOKafkaAdminClient) -> None:
        names = [topic.name for topic in self._topics.all()]
        problem = topics_problem(await admin.describe_topics(names), names, self._topics.partition_count)
        self._failure_count = 0
        if problem != self.problem:
            _log.info("kafka.checked", problem=problem)
        self.problem = problem
        self.committed = await self._read_commits(admin)

    async def _read_commits(self, admin: AIOKafkaAdminClient) -> dict[int, int] | None:
        """Return the workers' committed offsets; None when they cannot be known."""
        partitions = [TopicPartition(self._topics.requests.name, n) for n in range(self._topics.partition_count)]
        try:
            found = await admin.list_consumer_group_offsets(self._group, partitions=partitions)
        except KafkaError as error:
            _log.warning("lag.unknown", error=type(error).__name__)
            return None
        return {each.partition: commit.offset for each, commit in found.items() if commit.offset >= 0}


def topics_problem(described: list[dict[str, Any]], names: list[str], partition_count: int) -> str | None:
    """Say what is wrong with the topics, or None."""
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    for name in names:
        if name not in counts:
            return f"topic {name} does not exist: run python -m deploy.topics"
        if counts[name] != partition_count:
            return f"topic {name} has {counts[name]} partitions, not {partition_count}"
    return None
