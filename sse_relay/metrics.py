"""Metrics: the tally and the hub's sizes, read only when somebody asks."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sse_relay.hub import Hub
from sse_relay.tally import Tally

_PREFIX = "relay_"


class Metrics(Collector):
    """One registry of our own, so that nothing is counted at import."""

    def __init__(self, hub: Hub, tally: Tally) -> None:
        self._hub = hub
        self._tally = tally
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """Return Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Spare the registry a collection while the relay is being built."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        tally = self._tally
        yield _counter("records", "Records read", tally.record_count)
        yield _counter("records_applied", "Records that count", tally.applied_count)
        yield _labelled("records_ignored", "Records that the judge refuses", "verdict", tally.ignored)
        yield _labelled("records_skipped", "Records that cannot be used", "reason", tally.skipped)
        yield _counter("batches", "Batches taken in", tally.batch_count)
        yield _labelled("streams_opened", "Streams by what they began with", "start", tally.stream_count)
        yield _labelled("streams_ended", "Streams that the relay ended", "reason", tally.ended)
        yield _counter("heartbeats", "Comments sent", tally.heartbeat_count)
        yield _labelled("archive_reads", "Old tasks asked for", "outcome", tally.archive)
        yield _labelled("kafka_errors", "Errors that the Kafka client reported", "error", tally.kafka_errors)
        yield _counter("partition_resets", "Partitions that began anew", tally.reset_count)
        yield _counter("tasks_sealed", "Finished tasks that kept only their snapshot", tally.sealed_count)
        yield _counter("tasks_evicted", "Tasks that left memory", tally.evicted_count)
        yield _counter("tasks_trimmed", "Tasks that lost their oldest frames", tally.trimmed_count)
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        hub = self._hub
        yield _gauge("streams", "Open streams", hub.seats.taken_count)
        yield _gauge("caught_up", "Whether everything from before the start has been read", int(hub.caught_up))
        yield _gauge("history_bytes", "Logs in memory", hub.history.size_bytes)
        tasks = GaugeMetricFamily(f"{_PREFIX}tasks", "Tasks in memory", labels=["kept"])
        for kept, count in hub.history.task_counts.items():
            tasks.add_metric([kept], count)
        yield tasks
        offsets = GaugeMetricFamily(f"{_PREFIX}next_offset", "Where reading goes on", labels=["partition"])
        for number, partition in hub.partitions.items():
            offsets.add_metric([str(number)], partition.next_offset)
        yield offsets


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
