"""Read a topic from its beginning, again and again, and keep what a checker needs."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, TopicPartition

_BATCH = 10_000
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as it lies in the log; `at` is the broker's time in seconds."""

    partition: int
    offset: int
    at: float
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class LogReader:
    """All records of one topic in partition order; aborted transactions are left out."""

    def __init__(self, bootstrap: str, topic: str, partition_count: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "chaos-checker",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(partition_count)])

    def read(self, seconds: float = 1.0) -> Iterator[Seen]:
        """Yield what is new, until there is nothing more just now or the time is over: a busy topic has no end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            batch = self._consumer.consume(_BATCH, _POLL_SECONDS)
            if not batch:
                return
            for message in batch:
                if not message.error():
                    yield self._seen(message)

    def _seen(self, message: object) -> Seen:
        m: Any = message
        return Seen(m.partition(), m.offset(), m.timestamp()[1] / 1000, m.key(), m.value(), m.headers() or [])

    def close(self) -> None:
        self._consumer.close()
