"""Listen, serve until told to stop, leave nothing open."""

import asyncio
import logging
import signal

from deploy.model_simulator.connection import Connection
from deploy.model_simulator.pace import PROFILES
from deploy.model_simulator.routes import route_request
from deploy.model_simulator.settings import Settings
from deploy.model_simulator.simulator import Simulator

logger = logging.getLogger("model_simulator")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; streams that run then are cut."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(PROFILES[settings.profile], settings.call_log_count)
    open_connections: set[Connection] = set()

    def connect() -> Connection:
        return Connection(
            simulator,
            route_request,
            open_connections,
            settings.body_limit_bytes,
            settings.idle_timeout_seconds,
        )

    server = await loop.create_server(connect, settings.host, settings.port, backlog=2048)
    port = server.sockets[0].getsockname()[1]
    logger.warning(
        "simulator.started host=%s port=%d profile=%s: all texts are SIMULATED, no model is called",
        settings.host,
        port,
        settings.profile,
    )
    await stop.wait()
    server.close()
    for connection in tuple(open_connections):
        connection.abort()
    await server.wait_closed()
    logger.warning("simulator.stopped call_count=%d", simulator.calls.total_count)
