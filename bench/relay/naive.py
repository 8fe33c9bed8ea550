"""The usual way: Litestar's `ServerSentEvent`, one queue for each client, fed by aiokafka.

`python -m bench.relay.naive BOOTSTRAP TOPIC PORT`. No tickets, no history, no heartbeat: what most first versions are.
"""

import asyncio
import contextlib
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator

import uvicorn
from aiokafka import AIOKafkaConsumer
from litestar import Litestar, get
from litestar.response import ServerSentEvent, ServerSentEventMessage

Queues = defaultdict[str, set[asyncio.Queue[ServerSentEventMessage]]]


def build_app(bootstrap: str, topic: str) -> Litestar:
    """Return the application."""
    queues: Queues = defaultdict(set)

    async def consume() -> None:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async for record in consumer:
                kind = next((value.decode() for name, value in record.headers if name == "ce_type"), "message")
                event = ServerSentEventMessage(
                    data=record.value.decode(), event=kind, id=f"{record.partition}-{record.offset}"
                )
                for queue in queues.get(record.key.decode(), ()):
                    queue.put_nowait(event)
        finally:
            await consumer.stop()

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(consume())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def events(task_id: str) -> AsyncGenerator[ServerSentEventMessage, None]:
        queue: asyncio.Queue[ServerSentEventMessage] = asyncio.Queue()
        queues[task_id].add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            queues[task_id].discard(queue)

    @get("/v1/tasks/{task_id:str}/events")
    async def stream(task_id: str) -> ServerSentEvent:
        return ServerSentEvent(events(task_id))

    @get("/readyz", sync_to_thread=False)
    def ready() -> str:
        return "ready"

    return Litestar([stream, ready], lifespan=[running], logging_config=None, openapi_config=None)


if __name__ == "__main__":
    app = build_app(sys.argv[1], sys.argv[2])
    uvicorn.run(app, port=int(sys.argv[3]), loop="uvloop", access_log=False, log_level="warning", backlog=4096)
