"""The use cases: take a submission, take a cancellation."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from contracts.codec import RequestHeader, encode_cancellation, encode_event, encode_request
from contracts.commands import CancellationRequest, GenerationRequest
from contracts.errors import TaskIdError
from contracts.task import OwnerId, TaskId, new_task_id, parse_task_id, task_id_for
from contracts.topics import Topics
from producer_api.accepted_task import AcceptedTask, Deadlines, accepted_event, origin_of, plan_request
from producer_api.admission import OwnerRates, QueueGate
from producer_api.caller import Caller
from producer_api.deadline import Deadline
from producer_api.errors import ApiError, KafkaUnavailable, KeyReused, TaskNotFound
from producer_api.idempotency import TaskLocks
from producer_api.metrics import Metrics
from producer_api.publisher import Publisher
from producer_api.request_index import RequestIndex
from producer_api.submission import Submission

_log = structlog.get_logger()


class AcceptedTasks(Protocol):
    """What the requests topic says, read back."""

    index: RequestIndex

    async def settle(self, task: AcceptedTask, deadline: Deadline) -> AcceptedTask:
        """Return the first request in the log with the id of `task`."""
        ...

    async def find_late(self, task_id: TaskId, deadline: Deadline) -> AcceptedTask | None:
        """Look for a task up to the log's end."""
        ...


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What an intake goes by."""

    deadlines: Deadlines
    kafka_seconds: float
    default_school_year: int
    secret: bytes


class Intake:
    """Takes submissions and cancellations; done when Kafka has them."""

    def __init__(
        self,
        rules: IntakeRules,
        topics: Topics,
        publisher: Publisher,
        tasks: AcceptedTasks,
        rates: OwnerRates,
        gate: QueueGate,
        *,
        lag: Callable[[], int | None],
        problem: Callable[[], str | None],
        now: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        """Wire it; `problem` says why nothing can be written right now, or None."""
        self._rules = rules
        self._topics = topics
        self._publisher = publisher
        self._tasks = tasks
        self._rates = rates
        self._gate = gate
        self._lag = lag
        self._problem = problem
        self._now = now
        self._metrics = metrics
        self._locks = TaskLocks()

    async def submit(self, caller: Caller, submission: Submission, key: str | None) -> AcceptedTask:
        """Return the task of a submission, when Kafka has its request; a repeated key returns the same task.

        Raises an ApiError, and then at most a later submission with the same key makes a task of it.
        """
        began = time.perf_counter()
        try:
            task, repeated = await self._submit(caller, submission, key)
        except ApiError as error:
            self._metrics.submissions.labels(error.slug).inc()
            raise
        seconds = time.perf_counter() - began
        self._metrics.submit_seconds.observe(seconds)
        self._metrics.submissions.labels("repeated" if repeated else "accepted").inc()
        _log.info("task.accepted", task_id=task.task_id, repeated=repeated, seconds=round(seconds, 4))
        return task

    async def cancel(self, caller: Caller, task_id: str) -> None:
        """Write a cancellation of the caller's task; raise TaskNotFound for any other."""
        deadline = Deadline.after(self._rules.kafka_seconds)
        self._require_kafka()
        self._rates.take(caller.owner)
        try:
            known = await self._tasks.find_late(parse_task_id(task_id), deadline)
        except TaskIdError:
            known = None
        if known is None or known.owner != caller.owner:
            raise TaskNotFound("there is no such task of yours")
        request = CancellationRequest(task_id=known.task_id, requested_at=self._now())
        record = encode_cancellation(request, origin_of(caller.owner, caller.traceparent))
        await self._publisher.publish(self._topics.cancellations.name, record, deadline)
        self._metrics.cancellations.inc()
        _log.info("task.cancellation_written", task_id=known.task_id)

    async def _submit(self, caller: Caller, submission: Submission, key: str | None) -> tuple[AcceptedTask, bool]:
        deadline = Deadline.after(self._rules.kafka_seconds)
        if key is None:
            request = self._plan(submission, new_task_id())
            self._admit(caller.owner)
            task = await self._write(caller, request, submission.digest, deadline)
            self._tasks.index.note(task)  # it may be cancelled before it has been read back
            return task, False
        request = self._plan(submission, task_id_for(caller.owner, key, self._rules.secret))
        async with self._locks.hold(request.task_id, deadline):
            if (known := self._tasks.index.find(request.task_id)) is not None:
                return _same(known, submission), True
            self._admit(caller.owner)
            written = await self._write(caller, request, submission.digest, deadline)
            first = await self._tasks.settle(written, deadline)
            return _same(first, submission), first.position != written.position

    def _plan(self, submission: Submission, task_id: TaskId) -> GenerationRequest:
        return plan_request(submission, task_id, self._rules.default_school_year, self._rules.deadlines, self._now())

    def _admit(self, owner: OwnerId) -> None:
        self._require_kafka()
        self._rates.take(owner)
        lag = self._lag()
        if lag is None:
            self._metrics.lag_unknown.inc()
        self._gate.check(lag)

    def _require_kafka(self) -> None:
        if (problem := self._problem()) is not None:
            raise KafkaUnavailable(
                f"{problem}; send the same request later, a submission with the same Idempotency-Key"
            )

    async def _write(self, caller: Caller, request: GenerationRequest, digest: str, deadline: Deadline) -> AcceptedTask:
        """Write the first event, then the request that says where it is: never a request without an event."""
        origin = origin_of(caller.owner, caller.traceparent)
        event = encode_event(accepted_event(request), origin, at=request.accepted_at)
        start = await self._publisher.publish(self._topics.events.name, event, deadline)
        header = RequestHeader(digest, start)
        record = encode_request(request, origin, header, at=request.accepted_at)
        position = await self._publisher.publish(self._topics.requests.name, record, deadline)
        return AcceptedTask.of(request, caller.owner, header, position)


def _same(task: AcceptedTask, submission: Submission) -> AcceptedTask:
    if task.digest.hex() != submission.digest:
        raise KeyReused("this Idempotency-Key belongs to another body")
    return task
