"""Metrics: read from the parts when they are asked for, so that nothing has to keep two books."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stream_processors.cancellations import Cancellations
from stream_processors.committer import Committer
from stream_processors.dispatcher import Dispatcher


class WorkerCollector(Collector):
    """What a worker does, as Prometheus reads it."""

    def __init__(self, dispatcher: Dispatcher, committer: Committer, cancellations: Cancellations) -> None:
        self._dispatcher = dispatcher
        self._committer = committer
        self._cancellations = cancellations

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are now."""
        counts = self._dispatcher.counts
        yield GaugeMetricFamily("worker_running_tasks", "Slots taken", self._dispatcher.running_count)
        yield GaugeMetricFamily("worker_waiting_requests", "Requests read ahead", self._dispatcher.waiting_count)
        yield GaugeMetricFamily("worker_commit_failures", "Failed commits in a row", self._committer.failure_count)
        requests = CounterMetricFamily("worker_requests", "Requests, by what became of them", labels=["outcome"])
        for outcome in counts.__slots__:
            requests.add_metric([outcome], getattr(counts, outcome))
        yield requests
        yield CounterMetricFamily(
            "worker_unreadable_cancellations", "Cancellations skipped", self._cancellations.unreadable_count
        )
