"""Run a worker: `python -m stream_processors`. Settings come from the environment, with the prefix WORKER_."""

import asyncio
import signal
import sys

from stream_processors.app import WorkerProcess
from stream_processors.log_output import configure_logging
from stream_processors.model_access import open_services
from stream_processors.model_settings import ModelSettings
from stream_processors.settings import WorkerSettings
from stream_processors.warm_up import warm_up


async def run(settings: WorkerSettings, model_settings: ModelSettings) -> int:
    """Run a worker until a signal comes; return its exit status."""
    async with open_services(model_settings) as services:
        worker = WorkerProcess(settings, services)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await warm_up(model_settings)
        return await worker.run()


def main() -> int:
    """Read the settings and run."""
    settings = WorkerSettings()
    configure_logging(settings.log_level)
    return asyncio.run(run(settings, ModelSettings()))


if __name__ == "__main__":
    sys.exit(main())
