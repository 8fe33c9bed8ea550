"""Writes to the events topic: what a worker would, and what nobody should."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.codec import Record
from contracts.cursor import Position

_WAIT_SECONDS = 20.0
Headers = list[tuple[str, bytes | None]]


class EventWriter:
    """A producer for one topic, whose calls return when Kafka has everything."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.topic = topic
        self._bootstrap = bootstrap
        self._producer = Producer(self._settings())
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def write(self, records: Sequence[Record]) -> list[Position]:
        """Publish records in their order and return where they are."""
        return _write(self._producer, self.topic, records)

    def write_raw(self, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Publish anything to a partition."""
        failures: list[object] = []
        self._producer.produce(
            self.topic,
            value=value,
            key=key,
            headers=headers,
            partition=partition,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
        assert self._producer.flush(_WAIT_SECONDS) == 0, "Kafka takes no records"
        assert not failures, failures

    @contextmanager
    def transaction(self, *, abort: bool = False) -> Iterator["Transaction"]:
        """Write in one transaction, which ends with the block."""
        settings = {**self._settings(), "transactional.id": f"conformance-{secrets.token_hex(6)}"}
        producer = Producer(settings)
        producer.init_transactions(_WAIT_SECONDS)
        producer.begin_transaction()
        yield Transaction(producer, self.topic)
        if abort:
            producer.abort_transaction(_WAIT_SECONDS)
        else:
            producer.commit_transaction(_WAIT_SECONDS)

    def delete_before(self, position: Position) -> None:
        """Let a partition begin at a position, as retention would."""
        before = TopicPartition(self.topic, position.partition, position.offset)
        (done,) = self._admin.delete_records([before]).values()
        done.result(_WAIT_SECONDS)

    def _settings(self) -> dict[str, object]:
        return {
            "bootstrap.servers": self._bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "log_level": 0,  # a broker that ends before this process does is no news
            "partitioner": "murmur2_random",
        }


class Transaction:
    """Writes within a transaction."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def write(self, records: Sequence[Record]) -> list[Position]:
        """Publish records in their order and return where they are."""
        return _write(self._producer, self._topic, records)


def _write(producer: Producer, topic: str, records: Sequence[Record]) -> list[Position]:
    written: dict[int, Position] = {}
    failures: list[object] = []
    for number, made in enumerate(records):

        def note(error: object, message: Message, number: int = number) -> None:
            if error:
                failures.append(error)
            else:
                written[number] = Position(message.partition(), message.offset())

        headers = list(made.headers)
        producer.produce(topic, value=made.value, key=made.key, headers=headers, on_delivery=note)
    assert producer.flush(_WAIT_SECONDS) == 0, "Kafka takes no records"
    assert not failures, failures
    return [written[number] for number in range(len(records))]
