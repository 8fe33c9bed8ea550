"""The use case with the real adapter and the simulator: what strange texts and bad servers come to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.attempt import Attempt
from contracts.commands import GenerationRequest
from contracts.events import Reason
from contracts.lifecycle import Stage, TaskState, VersionStage
from contracts.task import new_task_id
from stream_processors.emitter import Emitter
from stream_processors.execution import execute
from stream_processors.model_access import open_services
from stream_processors.model_settings import ModelSettings
from stream_processors.retry import RetryPolicy
from stream_processors.services import Services
from tests.support.generation import ORIGIN, a_request
from tests.support.memory_publisher import MemoryPublisher
from tests.support.model_simulator import ModelSimulator, model_simulator, model_simulator_process

__all__ = ["model_simulator", "model_simulator_process"]


@pytest.fixture
async def services(model_simulator: ModelSimulator) -> AsyncIterator[Services]:
    async with open_services(ModelSettings(base_url=model_simulator.base_url, simulated=True)) as services:
        yield replace(services, retry=RetryPolicy(first_seconds=0.05))


def request_for_now(seconds: float = 60) -> GenerationRequest:
    now = datetime.now(UTC)
    later = now + timedelta(seconds=seconds)
    times = {"accepted_at": now, "start_deadline": later, "end_deadline": later}
    return a_request(task_id=new_task_id()).model_copy(update=times)


async def generate(
    services: Services, request: GenerationRequest | None = None, cancelled: asyncio.Event | None = None
) -> TaskState:
    request = request or request_for_now()
    publisher = MemoryPublisher()
    emitter = Emitter(publisher, request.task_id, Attempt(1, 1), ORIGIN)
    known = TaskState(request.task_id)
    await execute(request, known, emitter, services, cancelled=cancelled or asyncio.Event())
    assert publisher.state(request.task_id).progress.hole_count == 0
    return publisher.state(request.task_id)


async def test_a_task_succeeds_and_costs_three_calls(services: Services, model_simulator: ModelSimulator) -> None:
    request = request_for_now()
    state = await generate(services, request)
    assert state.stage is Stage.SUCCEEDED
    assert not state.degraded
    assert all(0 < version.bytes <= 1500 for version in state.versions)
    assert len({version.text for version in state.versions}) == 3
    calls = model_simulator.calls(request.task_id)
    assert {(call.version, call.attempt) for call in calls} >= {("1", "1-1"), ("2", "1-1"), ("3", "1-1")}
    assert state.usage.call_count == len(calls)


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("markdown", {}),
        ("html_text", {}),
        ("prompt_echo", {}),
        ("other_student", {}),
        ("forbidden_term", {}),
        ("too_long", {}),
        ("clean_text", {}),
    ],
)
async def test_whatever_the_text_holds_what_completes_is_checked_and_fits(
    services: Services, model_simulator: ModelSimulator, fault: str, params: dict[str, Any]
) -> None:
    model_simulator.set_fault(fault, **params)
    state = await generate(services)
    assert state.ended
    for version in state.versions:
        assert version.settled
        if version.stage is VersionStage.COMPLETED:
            assert version.bytes <= 1500
            assert not any(finding.severity == "block" for finding in version.findings)
            assert "당신은" not in version.text
            assert not any(mark in version.text for mark in ("**", "#", "<", "```"))
            assert version.text.endswith(".")


@pytest.mark.parametrize("fault", ["one_word", "prompt_echo", "foreign_text", "blank_text", "html_200", "cut"])
async def test_one_bad_answer_for_each_version_is_made_good_by_another_call(
    services: Services, model_simulator: ModelSimulator, fault: str
) -> None:
    model_simulator.set_faults(
        *({"fault": fault, "metadata": {"version": str(number)}, "times": 1} for number in (1, 2, 3))
    )
    state = await generate(services)
    assert state.stage is Stage.SUCCEEDED
    assert not state.degraded
    assert state.usage.discarded_call_count == 3


async def test_a_version_that_is_refused_leaves_the_others(services: Services, model_simulator: ModelSimulator) -> None:
    model_simulator.set_faults({"fault": "refusal", "metadata": {"version": "2"}})
    state = await generate(services)
    assert (state.stage, state.degraded) == (Stage.SUCCEEDED, True)
    assert state.version(2).reason is Reason.REFUSED


async def test_an_empty_quota_fails_the_task_and_the_next_without_a_call(
    services: Services, model_simulator: ModelSimulator
) -> None:
    model_simulator.set_fault("quota_exhausted")
    assert (await generate(services)).reason is Reason.QUOTA_EXHAUSTED
    made = len(model_simulator.calls())
    assert (await generate(services)).reason is Reason.QUOTA_EXHAUSTED
    assert len(model_simulator.calls()) == made


async def test_real_rate_limits_are_waited_for(services: Services, model_simulator: ModelSimulator) -> None:
    model_simulator.set_limits(requests_per_minute=120, burst_seconds=0.5)
    state = await generate(services)
    assert state.stage is Stage.SUCCEEDED
    assert state.usage.discarded_call_count > 0


async def test_a_cancellation_reaches_the_server_within_a_second(
    services: Services, model_simulator: ModelSimulator
) -> None:
    model_simulator.set_profile("seed")
    cancelled = asyncio.Event()
    running = asyncio.create_task(generate(services, cancelled=cancelled))
    await asyncio.to_thread(model_simulator.wait_until, lambda calls: sum(call.chars_sent > 0 for call in calls) == 3)
    cancelled.set()
    async with asyncio.timeout(2):
        state = await running
    assert state.stage is Stage.CANCELLED
    await asyncio.to_thread(model_simulator.wait_until_idle, 3, 1)


async def test_the_end_deadline_cuts_the_calls(services: Services, model_simulator: ModelSimulator) -> None:
    model_simulator.set_profile("seed")
    state = await generate(services, request_for_now(2))
    assert (state.stage, state.reason) == (Stage.EXPIRED, Reason.DEADLINE)
    assert any(version.text for version in state.versions)
    await asyncio.to_thread(model_simulator.wait_until_idle, 3, 1)
