"""The generation use case: from a request to its one terminal event."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

import structlog

from contracts.commands import GenerationRequest, VersionPlan
from contracts.cursor import Position
from contracts.events import (
    Reason,
    TaskCancelled,
    TaskCancelling,
    TaskExpired,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
    VersionOutcome,
    VersionStatus,
)
from contracts.lifecycle import TaskState
from stream_processors.deadline import Deadline
from stream_processors.dispatcher import Known
from stream_processors.emitter import Emitter
from stream_processors.ending import completed_count, most_telling, settled_outcomes, total_usage
from stream_processors.model_calls import discarded
from stream_processors.order import Recall
from stream_processors.services import Services
from stream_processors.version_writer import Assignment, VersionWriter
from student_records.errors import RecordsError

CLOSE_SECONDS = 1.0
_LOOK_SECONDS = 5.0

_log = structlog.get_logger("stream_processors.execution")


async def execute(
    request: GenerationRequest,
    known: TaskState,
    emitter: Emitter,
    services: Services,
    *,
    cancelled: asyncio.Event,
    draft_counts: Mapping[int, int] = MappingProxyType({}),
    recall: Recall | None = None,
) -> Position:
    """Write a task's versions and return the place of its terminal event, acknowledged by Kafka.

    `known` is the task's state as its log tells it; versions that are settled there stay and cost nothing.
    `draft_counts` says how many calls earlier attempts have begun for a version's draft; they count against its budget
    and in its usage. `recall` is asked once the attempt has its place in the log: what an earlier one has settled until
    then stays, and what it raises (TaskEnded) goes on to the caller.

    When `cancelled` is set, calls are closed and the task ends as cancelled. When this coroutine itself is cancelled,
    or Kafka takes no more records, calls are closed, nothing more is written, and the error goes on to the caller.
    """
    execution = _Execution(request, known, emitter, services, draft_counts)
    try:
        return await execution.run(cancelled, recall)
    finally:
        try:
            await execution.close()
        finally:
            await emitter.abandon()


class _Execution:
    """One attempt: the writers of its versions, their tasks, and what was settled before."""

    def __init__(
        self,
        request: GenerationRequest,
        known: TaskState,
        emitter: Emitter,
        services: Services,
        draft_counts: Mapping[int, int],
    ) -> None:
        self._request = request
        self._known = known
        self._draft_counts = draft_counts
        self._emitter = emitter
        self._services = services
        self._deadline = Deadline.until(request.end_deadline, services.clock)
        self._settled = settled_outcomes(known)
        self._writers: dict[int, VersionWriter] = {}
        self._tasks: dict[asyncio.Task[None], VersionWriter] = {}
        self._broken: dict[VersionWriter, Exception] = {}

    async def run(self, cancelled: asyncio.Event, recall: Recall | None) -> Position:
        """Work until the terminal event."""
        if recall is not None and (cancelled.is_set() or self._starts_late()):
            await self._look(recall)
        if cancelled.is_set():
            return await self._end_cancelled(started=self._known.started)
        if self._starts_late():
            return await self._emitter.finish(TaskExpired, started=False, **self._closing())
        try:
            assignment = Assignment.of(self._request, self._services.load_edition(self._request.edition))
        except (RecordsError, ValueError):
            return await self._emitter.finish(TaskFailed, reason=Reason.MALFORMED_COMMAND, **self._closing())
        started = await self._emitter.emit(TaskStarted, kept=tuple(sorted(self._settled)))
        if recall is not None:
            await self._learn(recall, started, cancelled)
        self._begin(assignment)
        if await self._write(cancelled):
            return await self._end_cancelled(started=True)
        await self.close()
        await self._settle_broken()
        for writer in self._writers.values():
            await writer.fail(Reason.DEADLINE)
        return await self._end()

    async def _learn(self, recall: Recall, started: "asyncio.Future[Position]", cancelled: asyncio.Event) -> None:
        """Take over what was settled before this attempt had its place in the log; not once it is to end."""

        async def learn() -> Known | None:
            return await recall(await asyncio.shield(started))

        learning = asyncio.create_task(learn(), name=f"recall of {self._request.task_id}")
        watch = asyncio.create_task(cancelled.wait(), name=f"cancellation of {self._request.task_id}")
        try:
            await asyncio.wait(
                {learning, watch}, timeout=self._deadline.remaining_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
            if learning.done():
                self._take_over(learning.result())
        finally:
            watch.cancel()
            learning.cancel()

    async def _look(self, recall: Recall) -> None:
        """Take over what the log tells now, before the task is ended without an attempt; for some seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                self._take_over(await recall(None))

    def _take_over(self, known: Known | None) -> None:
        if known is not None:
            self._known, self._draft_counts = known.state, known.draft_counts
            self._settled = settled_outcomes(known.state)

    def _starts_late(self) -> bool:
        return not self._known.started and self._services.clock.now() >= self._request.start_deadline

    async def close(self) -> None:
        """Stop the writers; what they wait for is closed with them, within a second."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            done, pending = await asyncio.wait(set(self._tasks), timeout=CLOSE_SECONDS)
            for task in done:
                _ = task.cancelled() or task.exception()  # several may have died of one cause; the first one told it
            if pending:
                _log.warning("writers.not_closed", task_id=self._request.task_id, writer_count=len(pending))

    def _begin(self, assignment: Assignment) -> None:
        for plan in self._request.versions:
            if plan.version not in self._settled:
                writer = VersionWriter(
                    plan, assignment, self._emitter, self._services, self._deadline, self._earlier_count(plan)
                )
                self._writers[plan.version] = writer
                name = f"version {plan.version} of {self._request.task_id}"
                self._tasks[asyncio.create_task(writer.write(), name=name)] = writer

    async def _write(self, cancelled: asyncio.Event) -> bool:
        """Wait for all versions, the deadline or a cancellation; tell whether it was the last."""
        watch = asyncio.create_task(cancelled.wait(), name=f"cancellation of {self._request.task_id}")
        try:
            running = set(self._tasks)
            while running and not watch.done() and not self._deadline.passed():
                done, _ = await asyncio.wait(
                    {*running, watch}, timeout=self._deadline.remaining_seconds(), return_when=asyncio.FIRST_COMPLETED
                )
                running -= done
                for task in self._tasks.keys() & done:
                    self._note_end(task)
            return bool(running) and watch.done()
        finally:
            watch.cancel()

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        """Remember a version that a defect of ours has ended; what Kafka refused ends the attempt."""
        if (error := task.exception()) is None:
            return
        if self._emitter.failed or not isinstance(error, Exception):
            raise error
        self._broken[self._tasks[task]] = error
        _log.error("version.broken", task_id=self._request.task_id, error=type(error).__name__)

    async def _settle_broken(self) -> None:
        """Fail the broken versions alone; raise if nothing is settled that another try could lose."""
        settled = self._settled or any(
            writer.outcome.status is not VersionStatus.UNFINISHED for writer in self._writers.values()
        )
        if self._broken and not settled and not self._deadline.passed():
            raise next(iter(self._broken.values()))
        for writer in self._broken:
            await writer.fail(Reason.INTERNAL)

    async def _end_cancelled(self, *, started: bool) -> Position:
        if started:
            # At once, because a Kafka that is slow must not keep the calls running.
            await asyncio.gather(self.close(), self._emitter.emit(TaskCancelling))
        return await self._emitter.finish(TaskCancelled, started=started, **self._closing())

    async def _end(self) -> Position:
        outcomes = self._outcomes()
        count = completed_count(outcomes)
        if count:
            return await self._emitter.finish(TaskSucceeded, degraded=count < len(outcomes), **self._closing())
        if any(outcome.reason is Reason.DEADLINE for outcome in outcomes):
            return await self._emitter.finish(TaskExpired, started=True, **self._closing())
        return await self._emitter.finish(TaskFailed, reason=most_telling(outcomes), **self._closing())

    def _outcomes(self) -> tuple[VersionOutcome, ...]:
        return tuple(self._outcome(plan) for plan in self._request.versions)

    def _outcome(self, plan: VersionPlan) -> VersionOutcome:
        if (settled := self._settled.get(plan.version)) is not None:
            return settled
        if (writer := self._writers.get(plan.version)) is not None:
            return writer.outcome
        return VersionOutcome(
            version=plan.version,
            viewpoint=plan.viewpoint,
            status=VersionStatus.UNFINISHED,
            usage=discarded(self._earlier_count(plan)),
        )

    def _earlier_count(self, plan: VersionPlan) -> int:
        return self._draft_counts.get(plan.version, 0)

    def _closing(self) -> dict[str, object]:
        """What every terminal event tells."""
        outcomes = self._outcomes()
        return {"versions": outcomes, "usage": total_usage(outcomes), "ended_at": self._services.clock.now()}
