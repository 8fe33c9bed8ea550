"""Writing one version: drafting, checking, fitting, and what is told of it on the way."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from contracts.commands import GenerationRequest, VersionPlan
from contracts.cursor import Position
from contracts.events import (
    Phase,
    Reason,
    TaskWaiting,
    VersionCompleted,
    VersionFailed,
    VersionOutcome,
    VersionPhase,
    VersionReplaced,
    VersionStatus,
)
from contracts.findings import Finding
from stream_processors.deadline import Deadline
from stream_processors.emitter import Emitter
from stream_processors.errors import GivenUp
from stream_processors.model import Purpose
from stream_processors.model_calls import Customer, ModelCalls
from stream_processors.revision import least_letters, mend, shorter_target_characters
from stream_processors.services import Services
from stream_processors.streamed_text import StreamedText
from student_records.byte_count import count_bytes
from student_records.edition import Edition
from student_records.fitting import fit
from student_records.items import Item, SchoolLevel
from student_records.prompts import Prompt, draft_prompt, rewrite_prompt, shorten_prompt, viewpoint_of


@dataclass(frozen=True, slots=True)
class Assignment:
    """What all versions of a task share: the request, and its words read as terms of an edition."""

    request: GenerationRequest
    edition: Edition
    level: SchoolLevel
    item: Item

    @classmethod
    def of(cls, request: GenerationRequest, edition: Edition) -> "Assignment":
        """Read a request; raise ValueError or RecordsError where it does not fit the edition."""
        level, item = SchoolLevel(request.school_level), Item(request.item)
        for plan in request.versions:
            draft_prompt(edition, level, item, viewpoint_of(edition, item, plan.viewpoint), "")
        return cls(request, edition, level, item)


class VersionWriter:
    """Writes one version; `outcome` tells at any moment what has become of it."""

    def __init__(
        self,
        plan: VersionPlan,
        assignment: Assignment,
        emitter: Emitter,
        services: Services,
        deadline: Deadline,
        earlier_count: int,
    ) -> None:
        self._plan = plan
        self._assignment = assignment
        self._viewpoint = viewpoint_of(assignment.edition, assignment.item, plan.viewpoint)
        self._emitter = emitter
        self._services = services
        customer = Customer(emitter.task_id, plan.version, emitter.attempt, least_letters(self._limit_bytes))
        self._calls = ModelCalls(services, customer, deadline, earlier_count)
        self._phase = Phase.DRAFTING
        self._entered: asyncio.Future[Position] | None = None
        self._text = ""
        self._settled: VersionOutcome | None = None

    @property
    def outcome(self) -> VersionOutcome:
        """What has become of the version: settled, or unfinished with its text so far."""
        return self._settled or self._outcome(VersionStatus.UNFINISHED)

    async def write(self) -> None:
        """Write the version to its end, good or bad; raises nothing of its own."""
        try:
            await self._revise(await self._draft())
        except GivenUp as error:
            await self.fail(error.reason)

    async def fail(self, reason: Reason, findings: tuple[Finding, ...] = ()) -> None:
        """Settle the version as failed and keep its text; a settled one stays as it is."""
        if self._settled is not None:
            return
        self._settled = self._outcome(VersionStatus.FAILED, reason=reason, findings=findings)
        await self._emitter.emit(
            VersionFailed,
            version=self._plan.version,
            reason=reason,
            text=self._text,
            findings=findings,
            usage=self._calls.usage,
        )

    async def _complete(self, findings: tuple[Finding, ...]) -> None:
        self._settled = self._outcome(VersionStatus.COMPLETED, findings=findings)
        await self._emitter.emit(
            VersionCompleted,
            version=self._plan.version,
            text=self._text,
            characters=self._settled.characters,
            bytes=self._settled.bytes,
            findings=findings,
            usage=self._calls.usage,
        )

    async def _draft(self) -> str:
        await self._enter(Phase.DRAFTING)
        request, assignment = self._assignment.request, self._assignment
        prompt = draft_prompt(
            assignment.edition,
            assignment.level,
            assignment.item,
            self._viewpoint,
            request.notes,
            request.target_ratio,
        )
        return await self._calls.ask(Purpose.DRAFT, prompt, _DraftListener(self))

    async def _revise(self, text: str) -> None:
        """Mend and fit in turn, because a shorter text can hold a term again, until nothing changes any more."""
        policy = self._services.revision
        rewritten_count = shortened_count = 0
        for _ in range(policy.round_count):
            await self._enter(Phase.CHECKING)
            mended = mend(text, self._assignment.edition, self._assignment.item)
            await self._show(mended.text)
            if mended.unmended:
                if rewritten_count == policy.rewrite_call_count:
                    return await self.fail(Reason.FORBIDDEN_CONTENT, mended.findings)
                rewritten_count += 1
                text = await self._ask_again(Purpose.REWRITE, self._rewrite_prompt(mended.unmended))
                continue
            await self._enter(Phase.FITTING)
            fitted = fit(mended.text, self._limit_bytes)
            if fitted.fits and fitted.text == mended.text:
                return await self._complete(mended.findings)
            text = fitted.text
            if not fitted.fits:
                if shortened_count == policy.shorten_call_count:
                    return await self.fail(Reason.TOO_LONG, mended.findings)
                text = await self._ask_again(Purpose.SHORTEN, self._shorten_prompt(shortened_count))
                shortened_count += 1
            await self._show(text)
        return await self.fail(Reason.FORBIDDEN_CONTENT)

    async def _ask_again(self, purpose: Purpose, prompt: Prompt) -> str:
        return await self._calls.ask(purpose, prompt, _Listener(self))

    def _rewrite_prompt(self, findings: tuple[Finding, ...]) -> Prompt:
        request, assignment = self._assignment.request, self._assignment
        return rewrite_prompt(
            assignment.edition,
            assignment.level,
            assignment.item,
            self._viewpoint,
            request.notes,
            self._text,
            findings,
            request.target_ratio,
        )

    def _shorten_prompt(self, shortened_count: int) -> Prompt:
        assignment = self._assignment
        return shorten_prompt(
            assignment.edition,
            assignment.level,
            assignment.item,
            self._viewpoint,
            assignment.request.notes,
            self._text,
            shorter_target_characters(self._text, self._limit_bytes, shortened_count),
        )

    @property
    def _limit_bytes(self) -> int:
        return self._assignment.request.limit.bytes

    async def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._entered = await self._emitter.emit(VersionPhase, version=self._plan.version, phase=phase)

    async def _show(self, text: str) -> None:
        if text != self._text:
            self._text = text
            await self._emitter.emit(VersionReplaced, version=self._plan.version, text=text)

    async def wait_until_told(self) -> None:
        """Wait until Kafka has the phase: no call begins that the log cannot tell the next worker of."""
        if self._entered is not None:
            await asyncio.shield(self._entered)

    async def hear(self, text: str) -> None:
        """Show new text of a draft."""
        self._text += text
        await self._emitter.delta(self._plan.version, text)

    async def tell_waiting(self, reason: Reason, seconds: float | None) -> None:
        """Tell that the version waits."""
        until = None if seconds is None else self._services.clock.now() + timedelta(seconds=seconds)
        await self._emitter.emit(TaskWaiting, reason=reason, until=until, version=self._plan.version)

    async def tell_going_on(self, *, void: bool) -> None:
        """Tell that a wait is over; `void` when text shown so far does not count."""
        await self._enter(self._phase)
        if void:
            await self._show("")

    def _outcome(
        self, status: VersionStatus, *, reason: Reason | None = None, findings: tuple[Finding, ...] = ()
    ) -> VersionOutcome:
        return VersionOutcome(
            version=self._plan.version,
            viewpoint=self._plan.viewpoint,
            status=status,
            text=self._text,
            characters=len(self._text) if status is VersionStatus.COMPLETED else 0,
            bytes=count_bytes(self._text) if status is VersionStatus.COMPLETED else 0,
            findings=findings,
            reason=reason,
            usage=self._calls.usage,
        )


class _Listener:
    """Hears a call whose text is shown only when it is complete."""

    _shows_text = False

    def __init__(self, writer: VersionWriter) -> None:
        self._writer = writer
        self._streamed = StreamedText()

    async def wrote(self, text: str) -> None:
        if self._shows_text and (cleaned := self._streamed.feed(text)):
            await self._writer.hear(cleaned)

    async def waits(self, reason: Reason, seconds: float | None) -> None:
        await self._writer.tell_waiting(reason, seconds)

    async def begins(self) -> None:
        await self._writer.wait_until_told()

    async def goes_on(self, *, again: bool) -> None:
        self._streamed = StreamedText()
        await self._writer.tell_going_on(void=again and self._shows_text)


class _DraftListener(_Listener):
    """Hears a draft, which is shown as it grows."""

    _shows_text = True
