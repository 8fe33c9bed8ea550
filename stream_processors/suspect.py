"""Suspects: tasks of which a worker may have died run in processes of their own, so that only the culprit fails."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import orjson
import structlog
from aiokafka.errors import KafkaError

from contracts.codec import Record, read_header
from contracts.cursor import Position
from contracts.errors import RecordError
from contracts.events import TaskStarted
from stream_processors.dispatcher import Known
from stream_processors.emitter import EventPublisher
from stream_processors.errors import ChildDied, ChildNotStarted, NotAcknowledged, TaskEnded
from stream_processors.order import Order, Recall, WrittenKnown, WrittenOrder, again
from stream_processors.takeover import PartitionFold

IDLE_SECONDS = 30.0
"""How long a child waits for another order; starting one costs a second of processor time."""
CHILD_COMMAND = (sys.executable, "-m", "stream_processors.child")
_LINE_BYTES = 8 << 20
_START_SECONDS = 60.0
_START_COUNT = 3
_DEADLINE_GRACE_SECONDS = 5.0
_EXIT_SECONDS = 2.0

_STARTED = TaskStarted.model_fields["type"].default

log = structlog.get_logger(__name__)


def is_suspect(crash_count: int, attempt_count: int) -> bool:
    """Whether a task runs in a process of its own.

    After two crashes those that the log shows to have run; after three every one that may have run, because a task can
    kill its worker before anything of it is in the log.
    """
    return crash_count >= 3 or (crash_count == 2 and attempt_count > 0)


class ChildLane:
    """Runs orders in child processes, a few at a time; the child says what to publish, this process publishes it.

    A child that has ended its order well waits `idle_seconds` for another one. One that dies over a later order than
    its first proves nothing, because an earlier one may have harmed it: that order is carried out again in a new child.
    """

    def __init__(
        self,
        publisher: EventPublisher,
        *,
        child_count: int,
        command: Sequence[str] = CHILD_COMMAND,
        environment: Mapping[str, str] | None = None,
        idle_seconds: float = 0.0,
    ) -> None:
        self._publisher = publisher
        self._child_count = child_count
        self._turn = asyncio.Semaphore(child_count)
        self._command = command
        self._environment = environment
        self._idle_seconds = idle_seconds
        self._idle: list[_Child] = []
        self._ending: set[asyncio.Task[None]] = set()
        self.started_count = 0

    @property
    def idle_count(self) -> int:
        """How many children wait for an order."""
        return len(self._idle)

    async def __call__(self, order: Order) -> Position:
        """Carry an order out in a child.

        Raises ChildDied when a new child ended without a terminal event, or went on behind the task's deadline,
        ChildNotStarted when three in a row did not come up, which is nobody's fault but the machine's, and TaskEnded.
        """
        async with self._slot(order):
            if (child := self._rested()) is not None:
                try:
                    return await self._talk(child, order)
                except ChildDied as died:
                    log.warning("child.died_of_any", task_id=order.request.task_id, exit_status=died.exit_status)
                    order = again(order, died.known)
                except ChildNotStarted:
                    log.warning("child.not_started")
            for _ in range(_START_COUNT - 1):
                with suppress(ChildNotStarted):
                    return await self._talk(await self._start(), order)
                log.warning("child.not_started")
            return await self._talk(await self._start(), order)

    async def close(self) -> None:
        """End the children that wait."""
        while (child := self._rested()) is not None:
            self._end(child)
        if self._ending:
            await asyncio.wait(self._ending)

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

    async def _start(self) -> "_Child":
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
        self.started_count += 1
        return _Child(process, self._publisher)

    async def _talk(self, child: "_Child", order: Order) -> Position:
        try:
            return await child.carry_out(order)
        finally:
            if child.is_idle and self._idle_seconds > 0 and len(self._idle) < self._child_count:
                child.retirement = asyncio.get_running_loop().call_later(self._idle_seconds, self._retire, child)
                self._idle.append(child)
            else:
                await child.end()

    def _rested(self) -> "_Child | None":
        """Return a child that waits for an order."""
        if not self._idle:
            return None
        child = self._idle.pop()
        if child.retirement is not None:
            child.retirement.cancel()
        return child

    def _retire(self, child: "_Child") -> None:
        self._idle.remove(child)
        self._end(child)

    def _end(self, child: "_Child") -> None:
        ending = asyncio.create_task(child.end(), name="child ends")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


class _Child:
    """One child process, and what is said with it."""

    def __init__(self, process: asyncio.subprocess.Process, publisher: EventPublisher) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._publisher = publisher
        self._order_count = 0
        self.is_idle = False
        """Whether it has ended its order and waits for another one."""
        self.retirement: asyncio.TimerHandle | None = None

    async def carry_out(self, order: Order) -> Position:
        """Hand an order over and publish what comes of it; raises as the lane does."""
        self._order_count += 1
        self.is_idle = False
        conversation = _Conversation(order)
        self._say({"order": WrittenOrder.of(order).model_dump(mode="json")})
        try:
            async with asyncio.timeout(_START_SECONDS):
                first = await self._stdout.readline()
        except TimeoutError:
            first = b""
        if not first:
            raise ChildNotStarted("a child process did not come up")
        watch = asyncio.create_task(self._pass_cancellation_on(order, self._order_count))
        try:
            async with asyncio.timeout(_seconds_left(order)):
                await self._listen(conversation)
        except TimeoutError:
            log.warning("child.overdue", task_id=order.request.task_id)
        finally:
            watch.cancel()
            if conversation.recalling is not None:
                conversation.recalling.cancel()
        return await self._conclude(conversation)

    async def end(self) -> None:
        """End the process by ending its input, and if it does not listen, by force."""
        self._stdin.close()
        try:
            async with asyncio.timeout(_EXIT_SECONDS):
                await self._process.wait()
        except (TimeoutError, asyncio.CancelledError) as error:
            with suppress(ProcessLookupError):
                self._process.kill()
            if isinstance(error, asyncio.CancelledError):
                raise
            await self._process.wait()

    async def _listen(self, conversation: "_Conversation") -> None:
        while line := await self._next_line():
            try:
                said = orjson.loads(line)
                if "idle" in said:
                    self.is_idle = True
                    return
                number, record = int(said["number"]), _record(said)
                header = read_header(record.headers)
            except (ValueError, TypeError, LookupError, RecordError):
                return  # killed in the middle of a line, or out of its mind: nothing more of it is believed
            conversation.fold.add(record.key, record.value, record.headers)
            acknowledged = await self._publisher.publish(record)
            if header.terminal:
                conversation.terminal = acknowledged
            elif header.type == _STARTED and conversation.order.recall is not None:
                conversation.recalling = asyncio.create_task(self._tell_known(conversation, acknowledged))
            acknowledged.add_done_callback(partial(self._acknowledge, conversation, number))

    async def _next_line(self) -> bytes:
        try:
            return await self._stdout.readline()
        except ValueError:  # a line over the limit
            return b""

    async def _tell_known(self, conversation: "_Conversation", started: "asyncio.Future[Position]") -> None:
        """Tell the child what the log holds of its task up to the place of its attempt."""
        recall = cast("Recall", conversation.order.recall)
        try:
            known = await recall(await asyncio.shield(started))
        except TaskEnded as ended:
            conversation.ended = ended
            self._say({"ended": True})
        except (KafkaError, NotAcknowledged):  # it was `started` that failed: the acknowledgement says so
            return
        else:
            if known is not None:
                conversation.learn(known)
            self._say({"known": None if known is None else WrittenKnown.of(known).model_dump(mode="json")})

    def _acknowledge(self, conversation: "_Conversation", number: int, done: "asyncio.Future[Position]") -> None:
        error = NotAcknowledged("the publisher gave a record up") if done.cancelled() else done.exception()
        if error is None:
            self._say({"number": number, "position": list(done.result())})
        elif conversation.failure is None:  # nothing more can be written: the child would wait for ever
            conversation.failure = error
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _pass_cancellation_on(self, order: Order, number: int) -> None:
        await order.cancelled.wait()
        self._say({"cancel": number})

    async def _conclude(self, conversation: "_Conversation") -> Position:
        if conversation.failure is not None:
            self.is_idle = False
            raise conversation.failure
        if conversation.terminal is not None:
            return await conversation.terminal
        if conversation.ended is not None:
            raise conversation.ended
        self.is_idle = False
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_SECONDS):
                await self._process.wait()
        raise ChildDied(self._process.returncode, conversation.known)

    def _say(self, message: Mapping[str, Any]) -> None:
        if not self._stdin.is_closing():
            self._stdin.write(orjson.dumps(message) + b"\n")


class _Conversation:
    """What is said about one order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._key = order.request.task_id.encode()
        self._known = Known(order.known, 0, order.known.progress.attempt, order.draft_counts)
        self.fold = PartitionFold({self._key: self._known})
        self.terminal: asyncio.Future[Position] | None = None
        self.recalling: asyncio.Task[None] | None = None
        self.ended: TaskEnded | None = None
        self.failure: BaseException | None = None

    def learn(self, known: Known) -> None:
        """Begin the fold again with what the log told; the child has only said that it began."""
        self.fold = PartitionFold({self._key: known})

    @property
    def known(self) -> Known:
        """What has come of the task so far."""
        return self.fold.history().known.get(self._key, self._known)


def _seconds_left(order: Order) -> float:
    left = (order.request.end_deadline - datetime.now(UTC)).total_seconds()
    return max(0.0, left) + _DEADLINE_GRACE_SECONDS


def _record(said: Mapping[str, Any]) -> Record:
    headers = [(name, base64.b64decode(value)) for name, value in said["headers"]]
    return Record(base64.b64decode(said["key"]), base64.b64decode(said["value"]), headers)
