"""Suspects: tasks of which a worker may have died run in processes of their own, so that only the culprit fails."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from contracts.codec import Record, read_header
from contracts.cursor import Position
from contracts.errors import RecordError
from stream_processors.dispatcher import Known
from stream_processors.emitter import EventPublisher
from stream_processors.errors import ChildDied, ChildNotStarted
from stream_processors.order import Order, WrittenOrder
from stream_processors.takeover import PartitionFold

CHILD_COMMAND = (sys.executable, "-m", "stream_processors.child")
_LINE_BYTES = 8 << 20
_START_SECONDS = 60.0
_START_COUNT = 3
_DEADLINE_GRACE_SECONDS = 5.0
_EXIT_SECONDS = 2.0

log = structlog.get_logger(__name__)


def is_suspect(crash_count: int, attempt_count: int) -> bool:
    """Whether a task runs in a process of its own.

    After two crashes those that the log shows to have run; after three every one that may have run, because a task can
    kill its worker before anything of it is in the log.
    """
    return crash_count >= 3 or (crash_count == 2 and attempt_count > 0)


class ChildLane:
    """Runs orders in child processes, a few at a time; the child says what to publish, this process publishes it."""

    def __init__(
        self,
        publisher: EventPublisher,
        *,
        child_count: int,
        command: Sequence[str] = CHILD_COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._publisher = publisher
        self._turn = asyncio.Semaphore(child_count)
        self._command = command
        self._environment = environment

    async def __call__(self, order: Order) -> Position:
        """Carry an order out in a child.

        Raises ChildDied when the child ended without a terminal event, or went on behind the task's deadline, and
        ChildNotStarted when three in a row did not come up, which is nobody's fault but the machine's.
        """
        async with self._slot(order):
            for _ in range(_START_COUNT - 1):
                with suppress(ChildNotStarted):
                    return await self._run_child(order)
                log.warning("child.not_started")
            return await self._run_child(order)

    @asynccontextmanager
    async def _slot(self, order: Order) -> AsyncIterator[None]:
        """Wait for a turn; a task that is cancelled or overdue needs none, because its child only says so and ends."""
        turn = asyncio.create_task(self._turn.acquire())
        cancelled = asyncio.create_task(order.cancelled.wait())
        left = (order.request.end_deadline - datetime.now(UTC)).total_seconds()
        try:
            await asyncio.wait({turn, cancelled}, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            yield
        finally:
            cancelled.cancel()
            if not turn.cancel():
                self._turn.release()

    async def _run_child(self, order: Order) -> Position:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LINE_BYTES,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C in the terminal is for the worker, which drains
            )
        except OSError as error:
            raise ChildNotStarted("the system started no process") from error
        try:
            return await _Conversation(process, order, self._publisher).hold()
        finally:
            await _end(process)


class _Conversation:
    """What is said with one child: an order, acknowledgements and a cancellation to it, records from it."""

    def __init__(self, process: asyncio.subprocess.Process, order: Order, publisher: EventPublisher) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._order = order
        self._publisher = publisher
        key = order.request.task_id.encode()
        self._known = Known(order.known, 0, order.known.progress.attempt, order.draft_counts)
        self._fold = PartitionFold({key: self._known})
        self._terminal: asyncio.Future[Position] | None = None

    async def hold(self) -> Position:
        self._say({"order": WrittenOrder.of(self._order).model_dump(mode="json")})
        try:
            async with asyncio.timeout(_START_SECONDS):
                first = await self._stdout.readline()
        except TimeoutError:
            first = b""
        if not first:
            raise ChildNotStarted("a child process did not come up")
        watch = asyncio.create_task(self._pass_cancellation_on())
        try:
            async with asyncio.timeout(self._seconds_left()):
                await self._listen()
        except TimeoutError:
            log.warning("child.overdue", task_id=self._order.request.task_id)
        finally:
            watch.cancel()
        return await self._conclude()

    async def _listen(self) -> None:
        while line := await self._next_line():
            try:
                said = orjson.loads(line)
                number, record = int(said["number"]), _record(said)
                is_terminal = read_header(record.headers).terminal
            except (ValueError, TypeError, LookupError, RecordError):
                return  # killed in the middle of a line, or out of its mind: nothing more of it is believed
            await self._publish(number, record, is_terminal=is_terminal)

    async def _next_line(self) -> bytes:
        try:
            return await self._stdout.readline()
        except ValueError:  # a line over the limit
            return b""

    async def _publish(self, number: int, record: Record, *, is_terminal: bool) -> None:
        self._fold.add(record.key, record.value, record.headers)
        acknowledged = await self._publisher.publish(record)
        if is_terminal:
            self._terminal = acknowledged
        acknowledged.add_done_callback(lambda done: self._acknowledge(number, done))

    def _acknowledge(self, number: int, done: "asyncio.Future[Position]") -> None:
        if not done.cancelled() and done.exception() is None:
            self._say({"number": number, "position": list(done.result())})

    async def _pass_cancellation_on(self) -> None:
        await self._order.cancelled.wait()
        self._say({"cancel": True})

    async def _conclude(self) -> Position:
        if self._terminal is not None:
            return await self._terminal
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_SECONDS):
                await self._process.wait()
        known = self._fold.history().known.get(self._order.request.task_id.encode())
        raise ChildDied(self._process.returncode, known or self._known)

    def _say(self, message: Mapping[str, Any]) -> None:
        if not self._stdin.is_closing():
            self._stdin.write(orjson.dumps(message) + b"\n")

    def _seconds_left(self) -> float:
        left = (self._order.request.end_deadline - datetime.now(UTC)).total_seconds()
        return max(0.0, left) + _DEADLINE_GRACE_SECONDS


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a child by ending its input, and if it does not listen, by force."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_EXIT_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _record(said: Mapping[str, Any]) -> Record:
    headers = [(name, base64.b64decode(value)) for name, value in said["headers"]]
    return Record(base64.b64decode(said["key"]), base64.b64decode(said["value"]), headers)
