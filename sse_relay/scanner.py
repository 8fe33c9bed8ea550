"""Reading Kafka from a position on, for one task: a short-lived client in a thread of the archive."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from contracts.cursor import Position
from contracts.errors import RecordError
from contracts.task import TaskId
from sse_relay.archive import OldRecord, OldRecords
from sse_relay.consumer import client_settings
from sse_relay.errors import Overload, TaskGone, UnknownTask
from sse_relay.pace import CATCH_UP
from sse_relay.record import HeaderReader, has_json_object, owner_of
from sse_relay.settings import Settings

_BATCH_COUNT = 2000
_POLL_SECONDS = 0.5
_WATERMARK_SECONDS = 3.0


class KafkaScanner:
    """The archive's Scanner over confluent-kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def high_watermark(self, partition: int) -> int:
        """Return where a partition ends; raise Overload when Kafka does not say."""
        with self._client() as client:
            return self._watermarks(client, partition)[1]

    def scan(self, task_id: TaskId, start: Position, until: int) -> OldRecords:
        """Return a task's records up to its end or to an offset; raise UnknownTask, TaskGone or Overload."""
        with self._client() as client:
            low, high = self._watermarks(client, start.partition)
            if start.offset < low:
                raise TaskGone("older than retention")
            reading = _TaskReading(task_id, start.offset, min(until, high), self._settings.task_bytes)
            client.assign([TopicPartition(self._settings.topic, *start)])
            for message in self._messages(client):
                if reading.take(message):
                    return reading.result()
        raise Overload("archive_slow")

    def _messages(self, client: Consumer) -> Iterator[Any]:
        """Yield what Kafka gives until the time is over."""
        deadline = time.monotonic() + self._settings.archive_seconds
        while time.monotonic() < deadline:
            first = client.poll(_POLL_SECONDS)
            if first is not None:
                yield first
                yield from client.consume(_BATCH_COUNT, 0)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Consumer]:
        client = Consumer(client_settings(self._settings.bootstrap, CATCH_UP))
        try:
            yield client
        except KafkaException:
            raise Overload("archive_unreachable") from None
        finally:
            client.close()

    def _watermarks(self, client: Consumer, partition: int) -> tuple[int, int]:
        asked = TopicPartition(self._settings.topic, partition)
        answer = client.get_watermark_offsets(asked, timeout=_WATERMARK_SECONDS)
        if answer is None:
            raise Overload("archive_unreachable")
        low, high = answer
        return low, high


class _TaskReading:
    """Collects one task's records from a partition's messages."""

    def __init__(self, task_id: TaskId, begin: int, until: int, max_bytes: int) -> None:
        self._key = task_id.encode()
        self._next_offset = begin
        self._until = until
        self._room_bytes = max_bytes
        self._headers = HeaderReader()
        self._owner = b""
        self._records: list[OldRecord] = []

    def take(self, message: Any) -> bool:
        """Look at one message; tell whether nothing more is needed."""
        if (error := message.error()) is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._next_offset = message.offset()
                return True
            if error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise TaskGone("older than retention")
            return False
        if message.offset() >= self._until:
            return True
        self._next_offset = message.offset() + 1
        ended = message.key() == self._key and self._keep(message)
        return ended or self._next_offset >= self._until

    def result(self) -> OldRecords:
        """Return what was found, or raise UnknownTask."""
        if not self._records:
            raise UnknownTask("no record of it there")
        return OldRecords(owner_of(self._owner), self._records, self._next_offset)

    def _keep(self, message: Any) -> bool:
        """Keep a record that can be used; tell whether it ends the task."""
        value = message.value()
        try:
            kind, sequence, owner = self._headers.read(message.headers() or ())
        except RecordError:
            return False
        if not has_json_object(value):
            return False
        self._room_bytes -= len(value)
        if self._room_bytes < 0:
            raise Overload("task_too_large")
        self._owner = self._owner or owner
        self._records.append(OldRecord(message.offset(), kind, sequence, value))
        return kind.terminal
