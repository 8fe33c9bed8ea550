"""The adapter against the simulator as a real server: every way in which an answer can end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest

from contracts.attempt import Attempt
from contracts.events import Reason
from contracts.task import new_task_id
from deploy.model_simulator.call_log import CUT_BY_CLIENT
from deploy.model_simulator.identity import SIMULATOR_MODEL
from stream_processors.deadline import Deadline
from stream_processors.errors import ModelError
from stream_processors.model import Delta, Finished, Model, ModelCall, Purpose
from stream_processors.model_settings import ModelSettings
from stream_processors.openai_model import OpenAIModel
from student_records.prompts import Prompt
from tests.support.fake_model import FakeModel, Script, failing
from tests.support.model_simulator import ModelSimulator, model_simulator, model_simulator_process

__all__ = ["model_simulator", "model_simulator_process"]

Api = Literal["responses", "chat"]
APIS: tuple[Api, ...] = ("responses", "chat")
NOTES = "삼투압 실험에서 농도를 바꿔 가며 질량 변화를 측정함. 조원의 의견을 조율함."


def a_call(seconds: float = 30, purpose: Purpose = Purpose.DRAFT) -> ModelCall:
    prompt = Prompt("관점: 탐구 과정\n분량: 300자 안팎", NOTES)
    return ModelCall(new_task_id(), 2, purpose, Attempt(3, 4), prompt, Deadline.after(seconds))


def settings_for(simulator: ModelSimulator, api: Api, **changes: Any) -> ModelSettings:
    short = {"first_text_seconds": 1.0, "silence_seconds": 0.5, "call_seconds": 10.0}
    return ModelSettings(**{"base_url": simulator.base_url, "simulated": True, "api": api, **short, **changes})


async def read(model: Model, call: ModelCall) -> tuple[list[str], Finished]:
    """Read an answer to its good end."""
    deltas: list[str] = []
    async for item in model.stream(call):
        if isinstance(item, Finished):
            return deltas, item
        deltas.append(item.text)
    raise AssertionError("a stream ended without Finished")


async def failure(model: Model, call: ModelCall) -> ModelError:
    """Read an answer to its bad end."""
    with pytest.raises(ModelError) as caught:
        await read(model, call)
    return caught.value


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Api:
    return cast("Api", request.param)


Build = Callable[..., OpenAIModel]


@pytest.fixture
async def build(model_simulator: ModelSimulator, api: Api) -> AsyncIterator[Build]:
    built: list[OpenAIModel] = []

    def build(**changes: Any) -> OpenAIModel:
        built.append(OpenAIModel(settings_for(model_simulator, api, **changes)))
        return built[-1]

    yield build
    for model in built:
        await model.close()


# One behaviour suite for the fake and the adapter.


@dataclass
class World:
    """A model, and the levers that tests of its behaviour need."""

    model: Model
    fail: Callable[[int | None], None]
    slow_down: Callable[[], None]
    running_count: Callable[[], int]


def fake_world() -> World:
    model = FakeModel(default=Script(first_seconds=0.01, piece_seconds=0.001))

    def fail(after: int | None) -> None:
        model.plays(failing(Reason.OVERLOADED if after is None else Reason.TRUNCATED, after=after))

    def slow_down() -> None:
        model.plays(Script(first_seconds=0.01, piece_seconds=0.2))

    return World(model, fail, slow_down, lambda: model.running_count)


def adapter_world(simulator: ModelSimulator, model: OpenAIModel) -> World:
    def fail(after: int | None) -> None:
        if after is None:
            simulator.set_fault("overloaded")
        else:
            simulator.set_fault("cut", after=after)

    return World(
        model,
        fail,
        lambda: simulator.set_pace(first_text_seconds=0.01, tokens_per_second=40, delta_seconds=0.05),
        lambda: int(simulator.call_summary()["running_count"]),
    )


@pytest.fixture(params=["fake", *APIS])
async def world(request: pytest.FixtureRequest, model_simulator: ModelSimulator) -> AsyncIterator[World]:
    if request.param == "fake":
        yield fake_world()
        return
    model = OpenAIModel(settings_for(model_simulator, request.param))
    yield adapter_world(model_simulator, model)
    await model.close()


async def until_idle(world: World) -> float:
    """Return how long it takes until the other side has no call left."""
    begun = time.monotonic()
    async with asyncio.timeout(5):
        while world.running_count():  # noqa: ASYNC110 - another process: it can only be asked
            await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def test_deltas_come_first_and_then_the_whole_text(world: World) -> None:
    deltas, finished = await read(world.model, a_call())
    assert len(deltas) > 2
    assert all(deltas)
    assert "".join(deltas) == finished.text
    assert (finished.input_tokens or 0) > 0
    assert (finished.output_tokens or 0) > 0
    assert finished.model


async def test_a_failure_before_the_first_text_is_a_model_error(world: World) -> None:
    world.fail(None)
    error = await failure(world.model, a_call())
    assert (error.reason, error.retryable) == (Reason.OVERLOADED, True)


async def test_a_failure_behind_some_text_comes_after_that_text(world: World) -> None:
    world.fail(2)
    texts: list[str] = []

    async def listen() -> None:
        async for item in world.model.stream(a_call()):
            assert isinstance(item, Delta)
            texts.append(item.text)

    with pytest.raises(ModelError) as caught:
        await listen()
    assert texts
    assert caught.value.reason is Reason.TRUNCATED


async def test_leaving_the_stream_ends_the_call_at_the_other_side(world: World) -> None:
    world.slow_down()
    async with aclosing(world.model.stream(a_call())) as stream:  # type: ignore[type-var]  # see Model.stream
        async for _ in stream:
            break
    assert await until_idle(world) < 1


async def test_cancelling_the_reader_ends_the_call_at_the_other_side(world: World) -> None:
    world.slow_down()
    reading = asyncio.create_task(read(world.model, a_call()))
    await asyncio.sleep(0.3)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await until_idle(world) < 1


async def test_many_calls_run_at_once(world: World) -> None:
    answers = await asyncio.gather(*(read(world.model, a_call()) for _ in range(20)))
    assert all("".join(deltas) == finished.text for deltas, finished in answers)


# What an answer tells.


async def test_an_answer_names_its_making(build: Build, model_simulator: ModelSimulator) -> None:
    call = a_call()
    _, finished = await read(build(), call)
    assert finished.model == SIMULATOR_MODEL
    assert finished.response_id
    assert finished.request_id
    assert finished.service_tier == "default"
    (record,) = model_simulator.calls(call.task_id)
    assert (record.version, record.purpose, record.attempt) == ("2", "draft", "3-4")
    assert record.stream


async def test_other_servers_get_no_metadata(build: Build, model_simulator: ModelSimulator) -> None:
    await read(build(simulated=False), a_call())
    assert model_simulator.calls()[-1].task_id is None


async def test_a_chat_server_that_tells_no_usage_will_do(model_simulator: ModelSimulator) -> None:
    model = OpenAIModel(settings_for(model_simulator, "chat", ask_for_usage=False))
    _, finished = await read(model, a_call())
    assert (finished.input_tokens, finished.output_tokens) == (None, None)
    await model.close()


async def test_connections_are_used_again(build: Build, model_simulator: ModelSimulator) -> None:
    model = build()
    opened: list[object] = []
    pool = model._client._client._transport._inner._pool  # type: ignore[attr-defined]  # there is no other way to see it
    for _ in range(3):
        await read(model, a_call())
        opened.extend(pool.connections)
    assert len(set(map(id, opened))) == 1


# Every bad end.

BAD_ENDS: dict[str, tuple[Reason, bool, dict[str, Any]]] = {
    "rate_limited": (Reason.RATE_LIMITED, True, {}),
    "quota_exhausted": (Reason.QUOTA_EXHAUSTED, False, {}),
    "server_error": (Reason.OVERLOADED, True, {}),
    "server_error_html": (Reason.OVERLOADED, True, {}),
    "overloaded": (Reason.OVERLOADED, True, {}),
    "overloaded_html": (Reason.OVERLOADED, True, {}),
    "bad_request": (Reason.INVALID_REQUEST, False, {}),
    "unauthorised": (Reason.UNAUTHORISED, False, {}),
    "forbidden": (Reason.UNAUTHORISED, False, {}),
    "not_found": (Reason.INVALID_REQUEST, False, {}),
    "request_timeout": (Reason.TIMEOUT, True, {}),
    "conflict": (Reason.OVERLOADED, True, {}),
    "unprocessable": (Reason.INVALID_REQUEST, False, {}),
    "redirect": (Reason.PROTOCOL, False, {}),
    "failed": (Reason.OVERLOADED, True, {}),
    "incomplete_length": (Reason.LENGTH, True, {}),
    "incomplete_filter": (Reason.FILTERED, True, {}),
    "refusal": (Reason.REFUSED, False, {}),
    "error_event": (Reason.OVERLOADED, True, {}),
    "error_object": (Reason.OVERLOADED, True, {}),
    "no_final_event": (Reason.TRUNCATED, True, {}),
    "html_200": (Reason.PROTOCOL, True, {}),
    "json_error_200": (Reason.PROTOCOL, True, {}),
    "cut": (Reason.TRUNCATED, True, {}),
    "reset": (Reason.TRUNCATED, True, {}),
    "close_before_head": (Reason.OVERLOADED, True, {}),
    "bad_framing": (Reason.TRUNCATED, True, {}),
    "bad_json": (Reason.PROTOCOL, True, {}),
    "bad_utf8": (Reason.PROTOCOL, True, {}),
    "stall": (Reason.TIMEOUT, True, {}),
    "comments_forever": (Reason.TIMEOUT, True, {"seconds": 0.05}),
    "no_headers": (Reason.TIMEOUT, True, {}),
    "slow_first_text": (Reason.TIMEOUT, True, {"first_text_seconds": 30}),
    "huge_line": (Reason.PROTOCOL, True, {}),
    "huge_text": (Reason.LENGTH, True, {}),
    "empty_text": (Reason.PROTOCOL, True, {}),
    "blank_text": (Reason.PROTOCOL, True, {}),
}


@pytest.mark.parametrize("fault", BAD_ENDS)
async def test_every_bad_end_has_its_reason(build: Build, model_simulator: ModelSimulator, fault: str) -> None:
    reason, retryable, params = BAD_ENDS[fault]
    model_simulator.set_fault(fault, **params)
    begun = time.monotonic()
    error = await failure(build(), a_call())
    assert (error.reason, error.retryable) == (reason, retryable), error
    assert time.monotonic() - begun < 6
    assert len(await asyncio.to_thread(model_simulator.calls)) == 1, "the SDK has retried or followed"
    await asyncio.to_thread(model_simulator.wait_until_idle, 1, 5)
    assert_holds_nothing_foreign(error)


def assert_holds_nothing_foreign(error: ModelError) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None
    said = f"{error!r} {error} {vars(error)}".lower()
    assert "simulated" not in said
    assert "html" not in said
    assert not any("가" <= character <= "힣" for character in said)


async def test_retry_after_is_told_and_not_slept(build: Build, model_simulator: ModelSimulator) -> None:
    told: dict[str, float | None] = {"retry_after_seconds": 17.0, "retry_after_ms": 1500.0}
    for name, seconds in (("retry_after_seconds", 17.0), ("retry_after_ms", 1.5), ("code", None)):
        model_simulator.set_faults({"fault": "rate_limited", "params": {name: told.get(name, 500)}})
        begun = time.monotonic()
        error = await failure(build(), a_call())
        assert error.retry_after_seconds == seconds
        assert error.request_id
        assert time.monotonic() - begun < 1


async def test_the_deadline_of_a_call_is_absolute(build: Build, model_simulator: ModelSimulator) -> None:
    model_simulator.set_pace(first_text_seconds=0.01, tokens_per_second=20, delta_seconds=0.05)
    begun = time.monotonic()
    error = await failure(build(), a_call(seconds=0.7))
    assert error.reason is Reason.TIMEOUT
    assert 0.6 < time.monotonic() - begun < 1.5
    (record,) = await asyncio.to_thread(model_simulator.wait_until_idle, 1, 2)
    assert record.outcome == CUT_BY_CLIENT


async def test_a_drip_of_text_keeps_the_watchdog_quiet(build: Build, model_simulator: ModelSimulator) -> None:
    model_simulator.set_pace(first_text_seconds=0.1, tokens_per_second=200, delta_seconds=0.2)
    _, finished = await read(build(silence_seconds=0.4), a_call())
    assert finished.text


async def test_nobody_there_is_an_overload(model_simulator: ModelSimulator, api: Api) -> None:
    settings = settings_for(model_simulator, api, base_url="http://127.0.0.1:1/v1")
    model = OpenAIModel(settings)
    error = await failure(model, a_call())
    assert (error.reason, error.retryable) == (Reason.OVERLOADED, True)
    await model.close()


async def test_neither_prompts_nor_answers_are_logged(
    build: Build, caplog: pytest.LogCaptureFixture, model_simulator: ModelSimulator
) -> None:
    caplog.set_level(logging.DEBUG)
    model = build()
    await read(model, a_call())
    model_simulator.set_fault("bad_request")
    await failure(model, a_call())
    assert not any("가" <= character <= "힣" for character in caplog.text)
    assert "Bearer" not in caplog.text
