"""A worker with the scripted model, as a process; everything else is the product's own."""

import asyncio
import signal
import sys

from stream_processors.app import WorkerProcess
from stream_processors.log_output import configure_logging
from stream_processors.settings import WorkerSettings
from tests.support.scripted_model import scripted_services


async def _run(settings: WorkerSettings) -> int:
    async with scripted_services() as services:
        command = (sys.executable, "-m", "tests.support.scripted_child")
        worker = WorkerProcess(settings, services, child_command=command)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        return await worker.run()


if __name__ == "__main__":
    configure_logging("INFO")
    sys.exit(asyncio.run(_run(WorkerSettings())))
