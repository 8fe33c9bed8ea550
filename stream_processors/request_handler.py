"""The request handler: from one record of the requests topic to its task's terminal event, or to the dead letters."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from contracts.attempt import OUTSIDE
from contracts.codec import REQUEST_TYPE, Origin, decode_request, read_header, read_request_header, task_id_of
from contracts.commands import GenerationRequest
from contracts.cursor import Position
from contracts.dead_letter import DeadLetter
from contracts.errors import MalformedRecord, RecordError, UnknownType, UnsupportedSchema
from contracts.events import Reason, TaskAccepted, TaskFailed
from contracts.lifecycle import TaskState
from contracts.topics import Topics
from stream_processors.dispatcher import Delivery, Job, Known
from stream_processors.emitter import Emitter
from stream_processors.ending import settled_outcomes, total_usage
from stream_processors.errors import ChildDied, LogStalled, NotAcknowledged, TaskEnded
from stream_processors.historian import recall_task
from stream_processors.kafka_publisher import partition_of
from stream_processors.log_reader import LogReader
from stream_processors.model_calls import discarded
from stream_processors.order import Order, Publisher, Recall, Runner, again, with_plan
from stream_processors.suspect import is_suspect
from stream_processors.takeover import next_attempt

_TRY_COUNT = 2
_NOW = 1 << 62
"""An offset behind all there are."""
_ACCEPTED = TaskAccepted.model_fields["type"].default

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """Who writes: the name in record sources, and when it was started (milliseconds since 1970)."""

    source: str
    boot_ms: int


class RequestHandler:
    """Deals with requests: runs them here, or in a process of their own when a worker may have died of them."""

    def __init__(
        self,
        worker: Worker,
        topics: Topics,
        publisher: Publisher,
        reader: LogReader,
        *,
        run: Runner,
        run_in_child: Runner,
    ) -> None:
        self._worker = worker
        self._topics = topics
        self._publisher = publisher
        self._reader = reader
        self._run = run
        self._run_in_child = run_in_child

    def is_sound(self, delivery: Delivery) -> bool:
        """Whether a record is a request that this release can read, in the partition of its key."""
        try:
            self._read(delivery)
        except RecordError:
            return False
        return True

    async def __call__(self, job: Job) -> bool:
        """Run a task; True once its terminal event is acknowledged, False if only the record was put aside."""
        try:
            request, origin = self._read(job.delivery)
        except RecordError as error:
            return await self._put_aside(job, error)
        known = job.known or Known(TaskState(request.task_id))
        order = Order(
            request,
            with_plan(known.state, request),
            next_attempt(job.generation, self._worker.boot_ms, known.highest),
            origin,
            job.cancelled,
            known.draft_counts,
            self._recall(job, request),
        )
        is_apart = is_suspect(job.crash_count, known.attempt_count) and not job.cancelled.is_set()
        try:
            await (self._run_suspect(job, order) if is_apart else self._run_here(job, order))
        except TaskEnded:
            log.info("task.ended_elsewhere", task_id=request.task_id)
        return True

    def _read(self, delivery: Delivery) -> tuple[GenerationRequest, Origin]:
        header = read_header(delivery.headers)
        if header.type != REQUEST_TYPE:
            raise UnknownType("not a generation request")
        request = decode_request(delivery.key, delivery.value)
        if partition_of(delivery.key or b"", self._topics.partition_count) != delivery.partition:
            raise MalformedRecord("key", "belongs to another partition")
        return request, Origin(header.owner, self._worker.source, header.traceparent)

    def _recall(self, job: Job, request: GenerationRequest) -> Recall | None:
        """Return how an attempt learns what others have written until it began; None when there are no others."""
        if (tail := job.tail) is None:
            return None

        async def recall(position: Position | None) -> Known | None:
            try:
                known = await tail.recall(request.task_id.encode(), position.offset if position else _NOW)
            except (KafkaError, LogStalled) as error:
                log.warning("takeover.not_read_on", task_id=request.task_id, error=type(error).__name__)
                return None  # a version may be paid for twice
            if known is None:
                raise TaskEnded("somebody else has ended it")
            return replace(known, state=with_plan(known.state, request))

        return recall

    async def _run_here(self, job: Job, order: Order) -> None:
        for number in range(_TRY_COUNT):
            if number:
                order = await self._ordered_again(job.delivery, order)
            try:
                await self._run(order)
            except MessageSizeTooLargeError:
                break  # what this task has to say is too long, today and in another worker: it fails, the others go on
            except TaskEnded:
                raise
            except (KafkaError, NotAcknowledged):
                raise  # nothing can be written: the worker ends, and the request is delivered again
            except Exception as error:  # noqa: BLE001 - the rim: one broken task must not end the others
                log.error("task.attempt_failed", task_id=order.request.task_id, error=type(error).__name__)
            else:
                return
        await self._fail(await self._ordered_again(job.delivery, order), Reason.INTERNAL)
        await self._bury(job.delivery, Reason.INTERNAL)

    async def _run_suspect(self, job: Job, order: Order) -> None:
        try:
            await self._run_in_child(order)
        except ChildDied as error:
            log.error("task.crashed_its_worker", task_id=order.request.task_id, exit_status=error.exit_status)
            await self._fail(again(order, error.known), Reason.WORKER_CRASHED)
            await self._bury(job.delivery, Reason.WORKER_CRASHED)
        except MessageSizeTooLargeError:
            await self._fail(await self._ordered_again(job.delivery, order), Reason.INTERNAL)
            await self._bury(job.delivery, Reason.INTERNAL)

    async def _ordered_again(self, delivery: Delivery, order: Order) -> Order:
        """Return the order for the next attempt, with what the log tells of the one that broke."""
        start = read_request_header(delivery.headers).start
        known = await recall_task(self._reader, self._topics, delivery.key or b"", start)
        return again(order, known or Known(order.known, draft_counts=order.draft_counts))

    async def _fail(self, order: Order, reason: Reason) -> Position:
        settled = settled_outcomes(order.known)
        outcomes = tuple(settled.values())
        thrown_away = sum(count for version, count in order.draft_counts.items() if version not in settled)
        emitter = Emitter(self._publisher, order.request.task_id, order.attempt, order.origin)
        return await emitter.finish(
            TaskFailed,
            reason=reason,
            versions=outcomes,
            usage=total_usage(outcomes) + discarded(thrown_away),
            ended_at=datetime.now(UTC),
        )

    async def _put_aside(self, job: Job, error: RecordError) -> bool:
        """Keep a record that is no request; if it stands for an accepted task, that task has failed."""
        await self._bury(job.delivery, f"{_kind(error)}: {error}")
        if job.settled or (origin := await self._accepted_origin(job.delivery)) is None:
            return False
        highest = job.known.highest if job.known else OUTSIDE
        attempt = next_attempt(job.generation, self._worker.boot_ms, highest)
        emitter = Emitter(self._publisher, task_id_of(job.delivery.key), attempt, origin)
        await emitter.finish(TaskFailed, reason=Reason.MALFORMED_COMMAND, ended_at=datetime.now(UTC))
        return True

    async def _accepted_origin(self, delivery: Delivery) -> Origin | None:
        """Return whose task a record stands for; None when it names no `task.accepted` of its key."""
        try:
            start = read_request_header(delivery.headers).start
        except RecordError:
            return None
        if start.partition != delivery.partition or not delivery.key:
            return None
        record = await self._reader.read_one(self._topics.events.name, start.partition, start.offset)
        if record is None or record.key != delivery.key:
            return None
        try:
            header = read_header(record.headers)
        except RecordError:
            return None
        return Origin(header.owner, self._worker.source, header.traceparent) if header.type == _ACCEPTED else None

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        position = Position(delivery.partition, delivery.offset)
        letter = DeadLetter(reason, self._topics.requests.name, position)
        await self._publisher.bury(letter, delivery.key, delivery.value, delivery.headers)


def _kind(error: RecordError) -> str:
    match error:
        case UnsupportedSchema():
            return "unsupported_schema"
        case UnknownType():
            return "unknown_type"
        case _:
            return "malformed_record"
