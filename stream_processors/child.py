"""A child: carries one order out in a process of its own. `python -m stream_processors.child`; started by the worker.

One line of JSON with the order comes on the standard input, later acknowledgements and perhaps a cancellation; records
to publish go to the standard output, one line of JSON each. When the input ends, the worker is gone, and so is the
child. Nothing of Kafka is imported here.
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
from stream_processors.emitter import Emitter
from stream_processors.execution import execute
from stream_processors.log_output import configure_logging
from stream_processors.model_access import open_services
from stream_processors.model_settings import ModelSettings
from stream_processors.order import Order, WrittenOrder
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
        line = {
            "number": self._number,
            "key": base64.b64encode(record.key).decode(),
            "value": base64.b64encode(record.value).decode(),
            "headers": [(name, base64.b64encode(value).decode()) for name, value in record.headers],
        }
        self._output.write(orjson.dumps(line) + b"\n")
        self._output.flush()
        return acknowledged

    def acknowledge(self, number: int, position: Position) -> None:
        """Note that Kafka has a record."""
        acknowledged = self._unacknowledged.pop(number, None)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(position)


async def carry_out(
    order: Order, publisher: PipePublisher, services: AbstractAsyncContextManager[Services]
) -> Position:
    """Execute an order; its events go to the publisher."""
    async with services as opened:
        emitter = Emitter(publisher, order.request.task_id, order.attempt, order.origin)
        return await execute(
            order.request,
            order.known,
            emitter,
            opened,
            cancelled=order.cancelled,
            draft_counts=order.draft_counts,
        )


def run_child(
    services: Callable[[], AbstractAsyncContextManager[Services]], input_: BinaryIO, output: BinaryIO
) -> None:
    """Read an order from the input and carry it out."""
    line = input_.readline()
    if not line:
        sys.exit(_ORPHANED)
    order = WrittenOrder.model_validate(orjson.loads(line)["order"]).order()
    output.write(b'{"ready":true}\n')
    output.flush()
    asyncio.run(_carry_out_and_listen(order, services(), input_, output))


async def _carry_out_and_listen(
    order: Order, services: AbstractAsyncContextManager[Services], input_: BinaryIO, output: BinaryIO
) -> None:
    publisher = PipePublisher(output)
    loop = asyncio.get_running_loop()

    def hear(said: dict[str, Any]) -> None:
        if "cancel" in said:
            order.cancelled.set()
        else:
            publisher.acknowledge(said["number"], Position(*said["position"]))

    def listen() -> None:
        # A thread: also a task that never yields must end with its worker.
        for line in input_:
            loop.call_soon_threadsafe(hear, orjson.loads(line))
        os._exit(_ORPHANED)

    threading.Thread(target=listen, name="worker", daemon=True).start()
    try:
        await carry_out(order, publisher, services)
    except Exception as error:  # noqa: BLE001 - the rim: a traceback could hold notes
        log.error("child.broken", task_id=order.request.task_id, error=type(error).__name__)
        os._exit(_BROKEN)
    output.flush()
    os._exit(0)  # the thread still reads; there is nothing else to end


def main() -> None:
    """Run a child with the services that the environment describes."""
    configure_logging("INFO")
    run_child(lambda: open_services(ModelSettings()), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
