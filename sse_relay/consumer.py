"""The consumer: one thread that reads the events topic in batches and hands each to the loop in one bounded call.

No group and no commits: positions live in memory, and reading starts at the look-back window. A missing offset is never
skipped in silence (`auto.offset.reset=error`): the partition begins anew and its viewers are told.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from sse_relay.errors import TopicUnusable
from sse_relay.hub import Hub
from sse_relay.pace import CATCH_UP, Fetching, Pace
from sse_relay.settings import Settings

_BATCH_COUNT = 10_000
_IDLE_SECONDS = 0.5
_REQUEST_SECONDS = 10.0
_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
_PENDING_BATCHES = 2
_log = structlog.get_logger(__name__)


class Call(Protocol):
    """How the thread reaches the loop: `loop.call_soon_threadsafe`."""

    def __call__(self, callback: Callable[..., object], *args: Any) -> object: ...  # noqa: D102


class Reopen(Exception):
    """The position of a partition is no longer valid: look at the topic again."""


class TopicReader:
    """The thread. Overflow policy: when the loop is behind, nothing more is fetched."""

    def __init__(self, settings: Settings, hub: Hub, call: Call) -> None:
        self._settings = settings
        self._hub = hub
        self._call = call
        self._stopping = threading.Event()
        self._room = threading.Semaphore(_PENDING_BATCHES)
        self._positions: dict[int, int] = {}
        self._at_end: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)

    def start(self) -> None:
        """Begin to read; never fails, whatever state Kafka is in."""
        self._thread.start()

    async def stop(self, timeout_seconds: float = 5.0) -> None:
        """Stop reading and wait for the thread's end."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, timeout_seconds)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._read()
            except (KafkaException, TopicUnusable, Reopen) as error:
                failures = 0 if time.monotonic() - began > _REQUEST_SECONDS * 2 else failures + 1
                self._report(error)
            except Exception:  # noqa: BLE001 - the rim: the thread must not end while the process serves
                failures += 1
                _log.exception("consumer.failed")
            self._stopping.wait(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])

    def _report(self, error: Exception) -> None:
        _log.warning("consumer.interrupted", reason=type(error).__name__, detail=str(error)[:200])

    def _read(self) -> None:
        """Open the topic and read until told to stop, or until a position turns out to be gone."""
        pace, count = Pace(), len(self._settings.own_partitions)
        self._at_end.clear()
        clients: dict[Fetching, Consumer] = {}
        try:
            client = clients[pace.fetching] = self._client(pace.fetching)
            client.assign(self._open(client))
            fetching = pace.fetching
            while not self._stopping.is_set():
                self._read_batch(client, pace)
                if len(self._at_end) == count:
                    pace.reach_end()
                if pace.fetching is not fetching:
                    client.unassign()
                    if fetching is CATCH_UP:
                        clients.pop(fetching).close()
                    fetching = pace.fetching
                    client = clients.get(fetching) or clients.setdefault(fetching, self._client(fetching))
                    client.assign(self._assignment())
        finally:
            for client in clients.values():
                client.close()

    def _read_batch(self, client: Consumer, pace: Pace) -> None:
        """Wait for one record, and take all that are there.

        A fetch's records come one partition after another, and the first one wakes this thread. On a busy core it would
        run at once and find only that one, so it lets the client's own thread come to the end of the fetch.
        """
        first = client.poll(_IDLE_SECONDS)
        os.sched_yield()
        messages = [] if first is None else [first, *client.consume(_BATCH_COUNT, 0)]
        if messages:
            self._hand_over(messages)
        pace.count(len(messages), time.monotonic())

    def _client(self, fetching: Fetching) -> Consumer:
        """Return a client that fetches in one of two ways: librdkafka cannot change it once it runs."""
        settings = client_settings(self._settings.bootstrap, fetching)
        return Consumer({**settings, "error_cb": self._count_error})

    def _assignment(self) -> list[TopicPartition]:
        return [TopicPartition(self._settings.topic, number, at) for number, at in self._positions.items()]

    def _hand_over(self, messages: list[Any]) -> None:
        records = [message for message in messages if message.error() is None]
        if records:
            self._give(self._hub.take, records)
            self._positions.update({message.partition(): message.offset() + 1 for message in records})
        if len(records) < len(messages):
            for message in messages:
                if (error := message.error()) is not None:
                    self._notice(error, message)

    def _give(self, callback: Callable[..., object], *args: Any) -> None:
        """Call into the loop, at most two calls ahead of it."""
        while not self._room.acquire(timeout=_IDLE_SECONDS):
            if self._stopping.is_set():
                return
        self._call(self._in_loop, callback, args)

    def _in_loop(self, callback: Callable[..., object], args: Sequence[Any]) -> None:
        try:
            callback(*args)
        finally:
            self._room.release()

    def _notice(self, error: KafkaError, message: Any) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            self._positions[message.partition()] = message.offset()
            self._at_end.add(message.partition())
            self._give(self._hub.at_end, message.partition(), message.offset())
            return
        self._give(self._hub.tally.kafka_errors.update, (error.name(),))
        if code in _POSITION_GONE:
            raise Reopen(error.name())

    def _count_error(self, error: KafkaError) -> None:
        """Errors that the client recovers from by itself; they come in this thread, from `poll`."""
        self._call(self._hub.tally.kafka_errors.update, (error.name(),))

    def _open(self, consumer: Consumer) -> list[TopicPartition]:
        """Find where to read each partition from; begin anew those whose position is no longer there."""
        settings, numbers = self._settings, self._settings.own_partitions
        self._check_topic(consumer)
        since_ms = int((time.time() - settings.look_back_seconds) * 1000)
        asked = [TopicPartition(settings.topic, number, since_ms) for number in numbers]
        by_time = {found.partition: found for found in consumer.offsets_for_times(asked, timeout=_REQUEST_SECONDS)}
        assigned = []
        for number in numbers:
            if by_time[number].error is not None:
                raise KafkaException(by_time[number].error)
            low, high = consumer.get_watermark_offsets(TopicPartition(settings.topic, number), timeout=_REQUEST_SECONDS)
            begin = high if by_time[number].offset == OFFSET_END else max(low, by_time[number].offset)
            assigned.append(TopicPartition(settings.topic, number, self._position(number, begin, low, high)))
        return assigned

    def _position(self, number: int, begin: int, low: int, high: int) -> int:
        known = self._positions.get(number)
        if known is not None and low <= known <= high:
            return known
        callback = self._hub.begin if known is None else self._hub.reset
        self._positions[number] = begin
        self._give(callback, number, begin, high, begin > low)
        return begin

    def _check_topic(self, consumer: Consumer) -> None:
        topic = consumer.list_topics(self._settings.topic, timeout=_REQUEST_SECONDS).topics[self._settings.topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        if len(topic.partitions) != self._settings.partition_count:
            raise TopicUnusable(f"the topic has {len(topic.partitions)} partitions, not the number that is set")


_POSITION_GONE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._FATAL,
    }
)


def client_settings(bootstrap: str, fetching: Fetching) -> dict[str, Any]:
    """Return librdkafka's settings for reading without a group."""
    return {
        "bootstrap.servers": bootstrap,
        "group.id": "sse-relay",  # required by the client, never joined
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": fetching.tells_end,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
        "fetch.min.bytes": fetching.min_bytes,
        "fetch.wait.max.ms": fetching.wait_ms,
        "fetch.error.backoff.ms": 100,
        "queued.max.messages.kbytes": 16_384,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 30_000,
        "log_level": 2,  # the client repeats itself for as long as a broker is away; errors are counted instead
    }
