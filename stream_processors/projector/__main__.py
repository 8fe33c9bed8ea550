"""Run a projector: `python -m stream_processors.projector`. Settings have the prefix PROJECTOR_; several may run."""

import asyncio
import signal
import sys
from collections.abc import Iterator

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stream_processors.health import HealthServer, Pulse
from stream_processors.log_output import configure_logging
from stream_processors.projector.projector import Projector
from stream_processors.settings import ProjectorSettings

log = structlog.get_logger(__name__)


class ProjectorCollector(Collector):
    """What a projector does, as Prometheus reads it."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are now."""
        counts = self._projector.counts
        yield GaugeMetricFamily("projector_open_tasks", "Tasks without a terminal event", self._projector.open_count)
        yield GaugeMetricFamily("projector_unreadable_records", "Records skipped", self._projector.unreadable_count)
        yield CounterMetricFamily("projector_results", "Results written", counts.results)
        yield CounterMetricFamily("projector_reaped_tasks", "Tasks ended from outside", counts.reaped)
        yield CounterMetricFamily("projector_reopened_partitions", "Transactions that failed", counts.reopened)


async def run(settings: ProjectorSettings) -> None:
    """Run a projector until a signal comes."""
    projector = Projector(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, projector.stop)
    registry = CollectorRegistry()
    registry.register(ProjectorCollector(projector))
    pulse = Pulse()

    def complaints() -> list[str]:
        told = {"stopping": projector.is_stopping, "no assignment yet": not projector.is_assigned}
        return [complaint for complaint, applies in told.items() if applies]

    async def beat() -> None:
        while True:
            pulse.beat()
            await asyncio.sleep(1)

    health = HealthServer(settings.health_host, settings.health_port, registry, pulse, complaints)
    health.start()
    log.info("projector.started", health_port=health.port)
    beating = asyncio.create_task(beat())
    try:
        await projector.run()
    finally:
        beating.cancel()
        health.stop()
    log.info("projector.stopped")


def main() -> int:
    """Read the settings and run."""
    settings = ProjectorSettings()
    configure_logging(settings.log_level)
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
