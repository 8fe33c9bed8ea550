"""Counters and gauges, in a registry of their own. No label ever holds an owner, a task or a text."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)


class Metrics:
    """Everything that this service measures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.submissions = Counter(
            "api_submissions", "Submissions by how they ended", ["outcome"], registry=self.registry
        )
        self.submit_seconds = Histogram(
            "api_submit_seconds", "From a valid submission to its answer", buckets=_SECONDS, registry=self.registry
        )
        self.cancellations = Counter("api_cancellations", "Cancellations written", registry=self.registry)
        self.problems = Counter("api_problems", "Problem documents sent", ["slug"], registry=self.registry)
        self.lag_unknown = Counter(
            "api_lag_unknown", "Submissions let through because the workers' lag was unknown", registry=self.registry
        )

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Measure what `read` returns, whenever somebody asks."""
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)
