"""A worker whose Kafka client loses a part of itself on SIGUSR1; WORKER_LOSES says which."""

import asyncio
import os
import signal
import sys
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion

from stream_processors.app import WorkerApp, WorkerProcess
from stream_processors.log_output import configure_logging
from stream_processors.settings import WorkerSettings
from stream_processors.transport import WorkConsumer, WorkConsumerThread, WorkTransport
from stream_processors.wary_client import WaryClient
from tests.support.scripted_model import scripted_services


class FailingClient(WaryClient):
    """A client that once does not find its coordinator, with the error that a broker in its last moments causes."""

    fails = False

    async def coordinator_lookup(self, *args: Any, **kwargs: Any) -> Any:
        if self.fails:
            self.fails = False
            raise IncompatibleBrokerVersion("FindCoordinatorRequest cannot be used")
        return await super().coordinator_lookup(*args, **kwargs)


class FragileThread(WorkConsumerThread):
    """A client's thread of which a part can be broken."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._client.__class__ = FailingClient
        return consumer

    async def lose(self, part: str) -> None:
        await self.call_thread(self._lose, part)

    async def _lose(self, part: str) -> None:
        coordinator = self._ensure_consumer()._coordinator
        match part:
            case "lookup":
                coordinator._client.fails = True
                coordinator.coordinator_dead()
            case "coordination":
                coordinator._coordination_task.cancel()
            case "fetching":
                self._ensure_consumer()._fetcher._fetch_task.cancel()
            case _:
                raise ValueError(part)


class FragileConsumer(WorkConsumer):
    def _new_consumer_thread(self) -> FragileThread:
        return FragileThread(self, loop=self.loop, beacon=self.beacon)


class FragileTransport(WorkTransport):
    Consumer = FragileConsumer


class FragileApp(WorkerApp):
    def _new_transport(self) -> FragileTransport:
        return FragileTransport(self.conf.broker_consumer, self)


async def _run(settings: WorkerSettings) -> int:
    async with scripted_services() as services:
        worker = WorkerProcess(settings, services, app_class=FragileApp)
        losses: list[asyncio.Task[None]] = []

        def lose() -> None:
            losses.append(asyncio.create_task(worker.app.consumer._thread.lose(os.environ["WORKER_LOSES"])))

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lose)
        loop.add_signal_handler(signal.SIGTERM, worker.stop)
        return await worker.run()


if __name__ == "__main__":
    configure_logging("INFO")
    sys.exit(asyncio.run(_run(WorkerSettings())))
