"""The control: the same generation in a stock Faust agent with `concurrency=50`, as its documentation shows it.

It commits past work in flight, so a killed worker loses tasks. A checker that finds nothing here would find nothing.
"""

import asyncio
import http.server
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import faust

from contracts.attempt import Attempt
from contracts.codec import Origin, decode_request, read_header
from contracts.lifecycle import TaskState
from stream_processors.emitter import Emitter
from stream_processors.execution import execute
from stream_processors.kafka_publisher import KafkaPublisher
from stream_processors.model_access import open_services
from stream_processors.model_settings import ModelSettings
from stream_processors.order import with_plan
from stream_processors.services import Services
from stream_processors.settings import WorkerSettings

CONCURRENCY = 50


class Ready(http.server.BaseHTTPRequestHandler):
    """Answers 200 once partitions are assigned."""

    assigned = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200 if self.assigned.is_set() else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


def main() -> None:
    """Run it until it is killed."""
    settings = WorkerSettings()
    app = faust.App(
        settings.group,
        broker=f"kafka://{settings.bootstrap.split(',')[0]}",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
        key_serializer="raw",
        value_serializer="raw",
        broker_session_timeout=15.0,
        broker_heartbeat_interval=2.0,
        broker_max_poll_interval=1000.0,
    )
    publisher = KafkaPublisher(lambda: app.producer._producer, settings.topics)
    boot_ms = time.time_ns() // 1_000_000
    opened = AsyncExitStack()
    services: list[Services] = []

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]  # faust ships no types
    async def note(app: Any, assigned: Any, **_: Any) -> None:
        if assigned:
            Ready.assigned.set()

    @app.agent(app.topic(settings.topics.requests.name, value_type=bytes, key_type=bytes), concurrency=CONCURRENCY)  # type: ignore[untyped-decorator]
    async def generate(stream: Any) -> None:
        if not services:
            services.append(await opened.enter_async_context(open_services(ModelSettings())))
        async for event in events_of(stream):
            message = event.message
            request, header = decode_request(message.key, message.value), read_header(message.headers)
            attempt = Attempt(app.consumer_generation_id, boot_ms)
            emitter = Emitter(publisher, request.task_id, attempt, Origin(header.owner, "stock"))
            known = with_plan(TaskState(request.task_id), request)
            await execute(request, known, emitter, services[0], cancelled=asyncio.Event())

    server = http.server.ThreadingHTTPServer(("127.0.0.1", settings.health_port), Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.argv = ["stock_worker", "worker", "-l", "warn", "--without-web"]
    app.main()


async def events_of(stream: Any) -> AsyncIterator[Any]:
    async for event in stream.events():
        yield event


if __name__ == "__main__":
    main()
