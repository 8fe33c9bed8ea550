"""A child: carries orders out in a process of its own, one after the other. `python -m stream_processors.child`.

Started by the worker. Each line of JSON on the standard input is an order, an acknowledgement, what the log told, or a
cancellation; records to publish go to the standard output, one line of JSON each, and `idle` behind the last of an
order. When the input ends, the worker is gone or has no more orders, and so is the child. Nothing of Kafka is imported
here.
"""

import asyncio
import base64
import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, BinaryIO

import orjson
import structlog

from contracts.codec import Record
from contracts.cursor import Position
from stream_processors.dispatcher import Known
from stream_processors.emitter import Emitter
from stream_processors.errors import TaskEnded
from stream_processors.execution import execute
from stream_processors.log_output import configure_logging
from stream_processors.model_access import open_services
from stream_processors.model_settings import ModelSettings
from stream_processors.order import Order, WrittenKnown, WrittenOrder
from stream_processors.services import Services

_BROKEN = 70
_ORPHANED = 75

log = structlog.get_logger(__name__)


class PipePublisher:
    """Hands records to the worker, which publishes them and says where they are."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._number = 0
        self._unacknowledged: dict[int, asyncio.Future[Position]] = {}

    async def publish(self, record: Record) -> "asyncio.Future[Position]":
        """Hand a record over; the future is Kafka's acknowledgement. A worker that does not read holds the child up."""
        self._number += 1
        acknowledged: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._unacknowledged[self._number] = acknowledged
        self.say(
            {
                "number": self._number,
                "key": base64.b64encode(record.key).decode(),
                "value": base64.b64encode(record.value).decode(),
                "headers": [(name, base64.b64encode(value).decode()) for name, value in record.headers],
            }
        )
        return acknowledged

    def acknowledge(self, number: int, position: Position) -> None:
        """Note that Kafka has a record."""
        acknowledged = self._unacknowledged.pop(number, None)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(position)

    def say(self, message: dict[str, Any]) -> None:
        """Write one line to the worker."""
        self._output.write(orjson.dumps(message) + b"\n")
        self._output.flush()


class Correspondence:
    """What the worker says: one order at a time, and all that belongs to it."""

    def __init__(self, publisher: PipePublisher) -> None:
        self._publisher = publisher
        self._orders: asyncio.Queue[Order] = asyncio.Queue(maxsize=1)
        self._order: Order | None = None
        self._order_count = 0
        self._recalled: asyncio.Future[Known | None] = asyncio.get_running_loop().create_future()

    async def next_order(self) -> Order:
        """Wait for an order."""
        return await self._orders.get()

    def hear(self, line: bytes) -> None:
        """Take one line in; one that makes no sense ends the child, which would wait for ever."""
        try:
            self._take(orjson.loads(line))
        except Exception as error:  # noqa: BLE001 - the rim: what asyncio would print holds the line
            log.error("child.unheard", error=type(error).__name__)
            os._exit(_BROKEN if line.endswith(b"\n") else _ORPHANED)

    def _take(self, said: dict[str, Any]) -> None:
        if "order" in said:
            self._recalled = asyncio.get_running_loop().create_future()
            self._order = WrittenOrder.model_validate(said["order"]).order(self._recall)
            self._order_count += 1
            self._orders.put_nowait(self._order)
        elif "cancel" in said:
            if self._order is not None and said["cancel"] == self._order_count:
                self._order.cancelled.set()
        elif "known" in said:
            known = said["known"]
            self._recalled.set_result(None if known is None else WrittenKnown.model_validate(known).known())
        elif "ended" in said:
            self._recalled.set_exception(TaskEnded("somebody else has ended it"))
        else:
            self._publisher.acknowledge(said["number"], Position(*said["position"]))

    async def _recall(self, position: Position | None) -> Known | None:
        # The worker looks at the log for an attempt that has its place in it, not for one that has not.
        return None if position is None else await asyncio.shield(self._recalled)


async def carry_out(order: Order, publisher: PipePublisher, services: Services) -> None:
    """Execute an order; its events go to the publisher."""
    emitter = Emitter(publisher, order.request.task_id, order.attempt, order.origin)
    try:
        await execute(
            order.request,
            order.known,
            emitter,
            services,
            cancelled=order.cancelled,
            draft_counts=order.draft_counts,
            recall=order.recall,
        )
    except TaskEnded:
        log.info("task.ended_elsewhere", task_id=order.request.task_id)
    except Exception as error:  # noqa: BLE001 - the rim: a traceback could hold notes
        log.error("child.broken", task_id=order.request.task_id, error=type(error).__name__)
        os._exit(_BROKEN)


def run_child(
    services: Callable[[], AbstractAsyncContextManager[Services]], input_: BinaryIO, output: BinaryIO
) -> None:
    """Carry out what the input orders, until it ends."""
    asyncio.run(_serve(services(), input_, output))


async def _serve(services: AbstractAsyncContextManager[Services], input_: BinaryIO, output: BinaryIO) -> None:
    publisher = PipePublisher(output)
    correspondence = Correspondence(publisher)
    loop = asyncio.get_running_loop()

    def listen() -> None:
        # A thread: also a task that never yields must end with its worker, who may have died in the middle of a line.
        try:
            for line in input_:
                loop.call_soon_threadsafe(correspondence.hear, line)
        finally:
            os._exit(_ORPHANED)

    threading.Thread(target=listen, name="worker", daemon=True).start()
    async with services as opened:
        while True:
            order = await correspondence.next_order()
            publisher.say({"ready": True})
            await carry_out(order, publisher, opened)
            publisher.say({"idle": True})


def main() -> None:
    """Run a child with the services that the environment describes."""
    configure_logging("INFO")
    run_child(lambda: open_services(ModelSettings()), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
