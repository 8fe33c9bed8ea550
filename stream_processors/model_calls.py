"""The calls that one version makes: counted, limited, guarded, made again, and paid for."""

import asyncio
import random
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from contracts.attempt import Attempt
from contracts.events import Reason, Usage
from contracts.task import TaskId
from stream_processors.deadline import Deadline
from stream_processors.errors import GivenUp, ModelError
from stream_processors.limiter import PATIENCE_SECONDS, Permit
from stream_processors.model import Delta, Finished, ModelCall, Purpose
from stream_processors.retry import Failures, GiveUp, decide
from stream_processors.revision import count_hangul, echoes
from stream_processors.services import Services
from student_records.cleaning import strip_traces
from student_records.prompts import Prompt

_CHARACTERS_PER_TOKEN = 1.7
_EXPECTED_ANSWER_CHARACTERS = 500

_log = structlog.get_logger("stream_processors.model_calls")


class Listener(Protocol):
    """Hears how a call goes."""

    async def wrote(self, text: str) -> None:
        """New text came."""

    async def waits(self, reason: Reason, seconds: float | None) -> None:
        """The call is held up, for so many seconds if that is known."""

    async def goes_on(self, *, again: bool) -> None:
        """A call begins after a wait; `again` when an earlier one died and its text is void."""

    async def begins(self) -> None:
        """A call is about to be made; returns when it may."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom calls are for, and with how few Korean letters a text is of no use to them."""

    task_id: TaskId
    version: int
    attempt: Attempt
    least_letters: int


class ModelCalls:
    """All calls of one version in one attempt; `usage` is what they cost, thrown-away ones included.

    `earlier_count` calls were begun by attempts before it: they are counted as discarded, with unknown tokens, and
    leave fewer for this one.
    """

    def __init__(self, services: Services, customer: Customer, deadline: Deadline, earlier_count: int = 0) -> None:
        self._services = services
        self.customer = customer
        self._deadline = deadline
        self._earlier_count = earlier_count
        left = max(0, services.retry.total_call_budget - earlier_count)
        self._policy = replace(services.retry, call_budget=min(services.retry.call_budget, left))
        self.usage = discarded(earlier_count)

    @property
    def _count(self) -> int:
        return self.usage.call_count - self._earlier_count

    async def ask(self, purpose: Purpose, prompt: Prompt, listener: Listener) -> str:
        """Return the model's text without what is not text of it; make failed calls again, or raise GivenUp."""
        failures = 0
        while True:
            if self._count >= self._policy.call_budget:
                raise GivenUp(Reason.BUDGET_EXHAUSTED)
            try:
                return await self._call(purpose, prompt, listener, again=failures > 0)
            except ModelError as error:
                failures += 1
                await self._wait_for_another_try(error, failures, listener)

    async def _wait_for_another_try(self, error: ModelError, failures: int, listener: Listener) -> None:
        decision = decide(
            self._policy,
            error,
            Failures(self._count, failures),
            self._deadline.remaining_seconds(),
            random.random(),  # noqa: S311 - jitter
        )
        if isinstance(decision, GiveUp):
            raise GivenUp(decision.reason)
        if decision.seconds > PATIENCE_SECONDS:
            await listener.waits(error.reason, decision.seconds)
        await asyncio.sleep(decision.seconds)

    async def _call(self, purpose: Purpose, prompt: Prompt, listener: Listener, *, again: bool) -> str:
        waited = False

        async def announce(reason: Reason, seconds: float | None) -> None:
            nonlocal waited
            waited = True
            if seconds is not None and seconds >= self._deadline.remaining_seconds():
                raise GivenUp(reason)
            await listener.waits(reason, seconds)

        estimate = _tokens(len(prompt.instructions) + len(prompt.input) + _EXPECTED_ANSWER_CHARACTERS)
        await listener.begins()
        async with self._services.limiter.permit(estimate, announce) as permit:
            if again or waited:
                await listener.goes_on(again=again)
                await listener.begins()
            with self._services.breaker.guard():
                customer = self.customer
                call = ModelCall(customer.task_id, customer.version, purpose, customer.attempt, prompt, self._deadline)
                return await _Meter(self, call, permit).run(self._services, listener)


class _Meter:
    """Runs one call and books what it cost, however it ends."""

    def __init__(self, calls: ModelCalls, call: ModelCall, permit: Permit) -> None:
        self._calls = calls
        self._call = call
        self._permit = permit
        self._started_at = asyncio.get_running_loop().time()
        self._first_text_seconds: float | None = None
        self._character_count = 0

    async def run(self, services: Services, listener: Listener) -> str:
        try:
            finished = await self._read(services, listener)
            text = self._usable(finished)
        except ModelError as error:
            self._book_failure(error)
            raise
        except BaseException:
            self._discard("cancelled", *self._estimate(0, 0))
            raise
        self._book(finished)
        return text

    def _usable(self, finished: Finished) -> str:
        """Return the text of an answer without its traces, or raise ModelError when that is none."""
        text = strip_traces(finished.text)
        if count_hangul(text) < self._calls.customer.least_letters:
            raise _unusable("hardly any Korean text", finished)
        if echoes(text, self._call.prompt.instructions):
            raise _unusable("instructions told back", finished)
        return text

    async def _read(self, services: Services, listener: Listener) -> Finished:
        # aclosing: leaving the stream in any way ends the call at the other side.
        async with aclosing(services.model.stream(self._call)) as stream:  # type: ignore[type-var]  # see Model.stream
            async for item in stream:
                if isinstance(item, Finished):
                    return item
                await self._hear(item, listener)
        raise ModelError(Reason.PROTOCOL, "stream without an end")

    async def _hear(self, delta: Delta, listener: Listener) -> None:
        if self._first_text_seconds is None:
            self._first_text_seconds = asyncio.get_running_loop().time() - self._started_at
        self._character_count += len(delta.text)
        await listener.wrote(delta.text)

    def _book(self, finished: Finished) -> None:
        estimated_input, estimated_output = self._estimate(0, 0)
        input_tokens = estimated_input if finished.input_tokens is None else finished.input_tokens
        output_tokens = estimated_output if finished.output_tokens is None else finished.output_tokens
        self._permit.spent(input_tokens + output_tokens)
        self._calls.usage += Usage(
            model=finished.model, call_count=1, input_tokens=input_tokens, output_tokens=output_tokens
        )
        self._tell(
            "completed",
            model=finished.model,
            response_id=finished.response_id,
            request_id=finished.request_id,
            service_tier=finished.service_tier,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            discarded=False,
        )

    def _book_failure(self, error: ModelError) -> None:
        if error.retry_after_seconds is not None:
            self._permit.hold(error.retry_after_seconds)
        tokens = self._estimate(error.input_tokens, error.output_tokens)
        self._discard(error.reason, *tokens, detail=error.detail, request_id=error.request_id)

    def _discard(self, outcome: str, input_tokens: int, output_tokens: int, **facts: str) -> None:
        self._permit.spent(input_tokens + output_tokens)
        self._calls.usage += Usage(
            call_count=1,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            discarded_call_count=1,
            discarded_tokens=input_tokens + output_tokens,
        )
        self._tell(outcome, input_tokens=input_tokens, output_tokens=output_tokens, discarded=True, **facts)

    def _estimate(self, input_tokens: int, output_tokens: int) -> tuple[int, int]:
        """Return what was told, or else an estimate; a call that brought no text is taken to have cost nothing."""
        if input_tokens or output_tokens or not self._character_count:
            return input_tokens, output_tokens
        prompt = self._call.prompt
        return _tokens(len(prompt.instructions) + len(prompt.input)), _tokens(self._character_count)

    def _tell(self, outcome: str, **facts: str | int | bool) -> None:
        call = self._call
        _log.info(
            "model_call.ended",
            outcome=str(outcome),
            task_id=call.task_id,
            version=call.version,
            purpose=call.purpose.value,
            attempt=str(call.attempt),
            first_text_seconds=self._first_text_seconds,
            duration_seconds=asyncio.get_running_loop().time() - self._started_at,
            character_count=self._character_count,
            **facts,
        )


def discarded(call_count: int) -> Usage:
    """Return what calls cost of which only the number is known, and which brought nothing."""
    return Usage(call_count=call_count, discarded_call_count=call_count)


def _unusable(detail: str, finished: Finished) -> ModelError:
    return ModelError(
        Reason.PROTOCOL,
        detail,
        input_tokens=finished.input_tokens or 0,
        output_tokens=finished.output_tokens or 0,
        request_id=finished.request_id,
    )


def _tokens(character_count: int) -> int:
    return int(character_count / _CHARACTERS_PER_TOKEN) + 1
