"""Topics in memory: written and read back as Kafka would, one partition each."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from contracts.codec import Record, decode_request, read_header, read_request_header
from contracts.cursor import Position
from contracts.task import TaskId
from producer_api.accepted_task import AcceptedTask
from producer_api.deadline import Deadline
from producer_api.errors import KafkaUnavailable
from producer_api.request_index import RequestIndex


class MemoryKafka:
    """A publisher and the log that it writes; `away_after` records it is away."""

    def __init__(self, requests_topic: str) -> None:
        self.index = RequestIndex(timedelta(hours=24), 1000, lambda: datetime.now(UTC))
        self.topics: defaultdict[str, list[Record]] = defaultdict(list)
        self.order: list[str] = []
        self.away_after: int | None = None
        self._requests_topic = requests_topic

    async def publish(self, topic: str, record: Record, deadline: Deadline) -> Position:
        await asyncio.sleep(0)
        if self.away_after is not None and len(self.order) >= self.away_after:
            raise KafkaUnavailable("away")
        self.order.append(topic)
        self.topics[topic].append(record)
        return Position(0, len(self.topics[topic]) - 1)

    async def settle(self, task: AcceptedTask, deadline: Deadline) -> AcceptedTask:
        self.read_back()
        return self.index.find(task.task_id) or task

    async def find_late(self, task_id: TaskId, deadline: Deadline) -> AcceptedTask | None:
        self.read_back()
        return self.index.find(task_id)

    def read_back(self) -> None:
        for offset, record in enumerate(self.topics[self._requests_topic]):
            request = decode_request(record.key, record.value)
            header, more = read_header(record.headers), read_request_header(record.headers)
            self.index.note(AcceptedTask.of(request, header.owner, more, Position(0, offset)))
