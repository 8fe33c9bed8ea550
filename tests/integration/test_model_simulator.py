"""What the real SDK makes of the simulator: both APIs, and every fault on the wire."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import psutil
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from deploy.model_simulator.faults import FaultName
from tests.support.model_simulator import ModelSimulator, model_simulator, model_simulator_process

__all__ = ["model_simulator", "model_simulator_process"]

NOTES = "삼투압 실험에서 감자 조각 농도를 바꿔 가며 질량 변화를 측정함. 조원 의견을 조율함."
INSTRUCTIONS = "관점: 탐구 과정\n분량: 300자 안팎"
APIS = ("responses", "chat")


class Outcome(NamedTuple):
    """What a caller of the SDK gets: the text, how it said it ended, and what it raised."""

    text: str
    finish: str | None
    error: Exception | None
    refusal: str = ""


@pytest.fixture
async def client(model_simulator: ModelSimulator) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="any", base_url=model_simulator.base_url, max_retries=0, timeout=5) as made:
        yield made


async def ask(client: AsyncOpenAI, api: str, stream: bool = True, notes: str = NOTES, **options: Any) -> Outcome:
    text: list[str] = []
    refusal: list[str] = []
    finish: str | None = None
    try:
        if api == "responses":
            finish = await _ask_responses(client, stream, notes, text, refusal, options)
        else:
            finish = await _ask_chat(client, stream, notes, text, refusal, options)
    except (openai.OpenAIError, ValueError) as error:
        return Outcome("".join(text), finish, error, "".join(refusal))
    return Outcome("".join(text), finish, None, "".join(refusal))


async def _ask_responses(
    client: AsyncOpenAI,
    stream: bool,
    notes: str,
    text: list[str],
    refusal: list[str],
    options: dict[str, Any],
) -> str | None:
    if not stream:
        whole: Response = await client.responses.create(model="m", instructions=INSTRUCTIONS, input=notes, **options)
        text.append(whole.output_text)
        return whole.status
    finish = None
    async with await client.responses.create(
        model="m", instructions=INSTRUCTIONS, input=notes, stream=True, **options
    ) as events:
        async for event in events:
            finish = event.type
            if event.type == "response.output_text.delta":
                text.append(event.delta)
            if event.type == "response.refusal.delta":
                refusal.append(event.delta)
    return finish


async def _ask_chat(
    client: AsyncOpenAI,
    stream: bool,
    notes: str,
    text: list[str],
    refusal: list[str],
    options: dict[str, Any],
) -> str | None:
    messages: Any = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": notes}]
    if not stream:
        whole: ChatCompletion = await client.chat.completions.create(model="m", messages=messages, **options)
        text.append(whole.choices[0].message.content or "")
        refusal.append(whole.choices[0].message.refusal or "")
        return whole.choices[0].finish_reason
    finish = None
    async with await client.chat.completions.create(model="m", messages=messages, stream=True, **options) as chunks:
        async for chunk in chunks:
            for choice in chunk.choices:
                text.append(choice.delta.content or "")
                refusal.append(choice.delta.refusal or "")
                finish = choice.finish_reason or finish
    return finish


class TestGoodAnswers:
    async def test_responses_stream_has_the_real_sequence_of_events(self, client: AsyncOpenAI) -> None:
        async with await client.responses.create(
            model="m", instructions=INSTRUCTIONS, input=NOTES, stream=True, metadata={"task_id": "t", "version": "1"}
        ) as events:
            seen = [event async for event in events]
        types = [event.type for event in seen]
        deltas = [event.delta for event in seen if event.type == "response.output_text.delta"]
        assert types[:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
        assert types[4:-4] == ["response.output_text.delta"] * len(deltas)
        assert types[-4:] == [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        final = seen[-1]
        assert final.type == "response.completed"
        assert final.response.output_text == "".join(deltas)
        assert final.response.usage is not None
        assert final.response.usage.output_tokens > 100

    @pytest.mark.parametrize("api", APIS)
    async def test_streamed_and_whole_texts_are_the_same(self, client: AsyncOpenAI, api: str) -> None:
        streamed, whole = await ask(client, api, True), await ask(client, api, False)
        assert streamed.text == whole.text != ""
        assert (streamed.error, whole.error) == (None, None)

    async def test_chat_stream_ends_with_a_reason_and_usage(self, client: AsyncOpenAI) -> None:
        async with await client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": NOTES}],
            stream=True,
            stream_options={"include_usage": True},
        ) as chunks:
            seen = [chunk async for chunk in chunks]
        assert seen[0].choices[0].delta.role == "assistant"
        assert seen[-2].choices[0].finish_reason == "stop"
        assert seen[-1].choices == []
        assert seen[-1].usage is not None
        assert all(chunk.usage is None for chunk in seen[:-1])

    async def test_nobody_can_take_it_for_a_real_model(self, client: AsyncOpenAI) -> None:
        raw = await client.responses.with_raw_response.create(model="gpt-real", input=NOTES, metadata={"a": "b"})
        answer = raw.parse()
        assert raw.headers["x-draftstream-simulator"] == "true"
        assert raw.headers["x-request-id"].startswith("req_sim_")
        assert (answer.model, answer.metadata) == ("draftstream-simulator", {"a": "b", "simulated": "true"})
        chat = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": NOTES}])
        assert (chat.model, chat.system_fingerprint) == ("draftstream-simulator", "fp_simulated")

    async def test_models_are_listed(self, client: AsyncOpenAI) -> None:
        assert [model.id async for model in client.models.list()] == ["draftstream-simulator"]
        assert (await client.models.retrieve("draftstream-simulator")).owned_by == "draftstream-simulator"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-real")

    @pytest.mark.parametrize("api", APIS)
    async def test_token_cap_cuts_the_text_and_says_so(self, client: AsyncOpenAI, api: str) -> None:
        options: dict[str, Any] = {"max_output_tokens": 20} if api == "responses" else {"max_completion_tokens": 20}
        outcome = await ask(client, api, **options)
        assert outcome.finish == ("response.incomplete" if api == "responses" else "length")
        assert 0 < len(outcome.text) < 40

    async def test_one_connection_serves_many_calls(self, client: AsyncOpenAI, model_simulator: ModelSimulator) -> None:
        for _ in range(3):
            assert (await ask(client, "responses")).finish == "response.completed"
        connections = psutil.Process(model_simulator.pid).net_connections("tcp")
        established = {connection.raddr for connection in connections if connection.status == "ESTABLISHED"}
        assert len(established) == 2  # the SDK's and the control client's


class TestKeys:
    async def test_the_wrong_key_is_refused_in_the_real_shape(self, model_simulator: ModelSimulator) -> None:
        async with AsyncOpenAI(api_key="wrong-key", base_url=model_simulator.base_url, max_retries=0) as client:
            outcome = await ask(client, "responses")
        assert isinstance(outcome.error, openai.AuthenticationError)
        assert outcome.error.code == "invalid_api_key"
        assert [call.outcome for call in model_simulator.calls()] == ["unauthorised"]

    async def test_a_request_without_a_key_is_refused(self, model_simulator: ModelSimulator) -> None:
        head, _ = await exchange(
            model_simulator, b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
        )
        assert head.startswith("HTTP/1.1 401 ")


STATUS_FAULTS: list[tuple[str, type[openai.APIStatusError], str | None]] = [
    ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
    ("quota_exhausted", openai.RateLimitError, "insufficient_quota"),
    ("server_error", openai.InternalServerError, None),
    ("server_error_html", openai.InternalServerError, None),
    ("overloaded", openai.InternalServerError, "overloaded"),
    ("overloaded_html", openai.InternalServerError, None),
    ("bad_request", openai.BadRequestError, "invalid_value"),
    ("unauthorised", openai.AuthenticationError, "invalid_api_key"),
    ("forbidden", openai.PermissionDeniedError, "unsupported_country_region_territory"),
    ("not_found", openai.NotFoundError, "model_not_found"),
    ("request_timeout", openai.APIStatusError, None),
    ("conflict", openai.ConflictError, None),
    ("unprocessable", openai.UnprocessableEntityError, None),
]


class TestStatuses:
    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize(("fault", "kind", "code"), STATUS_FAULTS)
    async def test_each_status_raises_its_error(
        self,
        client: AsyncOpenAI,
        model_simulator: ModelSimulator,
        api: str,
        stream: bool,
        fault: str,
        kind: type[openai.APIStatusError],
        code: str | None,
    ) -> None:
        model_simulator.set_fault(fault)
        outcome = await ask(client, api, stream)
        assert isinstance(outcome.error, kind)
        assert outcome.error.code == code
        call = model_simulator.calls()[-1]
        assert (call.outcome, call.status) == (fault, outcome.error.status_code)

    @pytest.mark.parametrize("code", [418, 429, 502, 504, 529])
    async def test_any_status_can_be_asked_for(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, code: int
    ) -> None:
        model_simulator.set_fault("status", code=code, error_code="made_up")
        outcome = await ask(client, "responses")
        assert isinstance(outcome.error, openai.APIStatusError)
        assert (outcome.error.status_code, outcome.error.code) == (code, "made_up")

    async def test_retry_after_is_sent_in_seconds_or_milliseconds(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_faults(
            {"fault": "rate_limited", "times": 1, "params": {"retry_after_seconds": 3}},
            {"fault": "rate_limited", "times": 1, "params": {"retry_after_ms": 250}},
            {"fault": "rate_limited", "times": 1},
        )
        found: list[tuple[str | None, str | None]] = []
        for _ in range(3):
            outcome = await ask(client, "responses")
            assert isinstance(outcome.error, openai.RateLimitError)
            headers = outcome.error.response.headers
            found.append((headers.get("retry-after"), headers.get("retry-after-ms")))
        assert found == [("3", None), (None, "250"), (None, None)]

    async def test_a_redirect_is_followed_by_the_sdk(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_fault("redirect")
        assert await ask(client, "responses") == Outcome("", None, None)

    async def test_the_sdk_retries_by_itself_unless_told_not_to(self, model_simulator: ModelSimulator) -> None:
        model_simulator.set_fault("server_error", times=2)
        async with AsyncOpenAI(api_key="k", base_url=model_simulator.base_url, max_retries=2) as client:
            assert (await ask(client, "responses")).finish == "response.completed"
        assert [call.outcome for call in model_simulator.calls()] == ["server_error", "server_error", "completed"]


class TestEnds:
    @pytest.mark.parametrize(
        ("fault", "finish"),
        [
            ("failed", "response.failed"),
            ("incomplete_length", "response.incomplete"),
            ("incomplete_filter", "response.incomplete"),
            ("error_event", "error"),
            ("no_final_event", "response.output_text.delta"),
        ],
    )
    async def test_responses_ends_that_raise_nothing(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, fault: str, finish: str
    ) -> None:
        model_simulator.set_fault(fault, after=2)
        outcome = await ask(client, "responses")
        assert (outcome.finish, outcome.error) == (finish, None)
        assert outcome.text != ""
        assert model_simulator.wait_until_idle()[-1].outcome == fault

    @pytest.mark.parametrize(
        ("fault", "finish"),
        [("incomplete_length", "length"), ("incomplete_filter", "content_filter"), ("no_final_event", None)],
    )
    async def test_chat_ends_that_raise_nothing(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, fault: str, finish: str | None
    ) -> None:
        model_simulator.set_fault(fault, after=2)
        outcome = await ask(client, "chat")
        assert (outcome.finish, outcome.error) == (finish, None)
        assert outcome.text != ""

    @pytest.mark.parametrize(
        ("api", "fault"),
        [("responses", "error_object"), ("chat", "error_object"), ("chat", "error_event"), ("chat", "failed")],
    )
    async def test_an_error_object_in_the_stream_raises(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str, fault: str
    ) -> None:
        model_simulator.set_fault(fault, after=2)
        outcome = await ask(client, api)
        assert type(outcome.error) is openai.APIError
        assert outcome.text != ""

    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize(
        ("fault", "status", "reason"),
        [
            ("incomplete_length", "incomplete", "max_output_tokens"),
            ("incomplete_filter", "incomplete", "content_filter"),
            ("failed", "failed", None),
        ],
    )
    async def test_the_final_response_says_why(
        self,
        client: AsyncOpenAI,
        model_simulator: ModelSimulator,
        stream: bool,
        fault: str,
        status: str,
        reason: str | None,
    ) -> None:
        model_simulator.set_fault(fault)
        if stream:
            async with await client.responses.create(model="m", input=NOTES, stream=True) as events:
                seen = [event async for event in events]
            final = seen[-1]
            assert final.type in ("response.incomplete", "response.failed")
            response = final.response
        else:
            response = await client.responses.create(model="m", input=NOTES)
        details = response.incomplete_details
        assert (response.status, details.reason if details else None) == (status, reason)
        assert (response.error is not None) == (status == "failed")

    @pytest.mark.parametrize("api", APIS)
    async def test_a_refusal_is_no_text(self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str) -> None:
        model_simulator.set_fault("refusal")
        outcome = await ask(client, api)
        assert (outcome.text, outcome.error) == ("", None)
        assert outcome.refusal != ""
        whole = await client.responses.create(model="m", input=NOTES)
        assert whole.output_text == ""
        assert whole.output[0].type == "message"
        assert whole.output[0].content[0].type == "refusal"

    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize("fault", ["html_200", "json_error_200"])
    async def test_200_that_is_no_stream_looks_like_an_empty_one(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str, fault: str
    ) -> None:
        model_simulator.set_fault(fault)
        assert await ask(client, api) == Outcome("", None, None)

    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize("fault", ["cut", "reset", "bad_framing"])
    async def test_a_broken_connection_raises_after_the_text_so_far(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str, fault: str
    ) -> None:
        model_simulator.set_fault(fault, after=4)
        outcome = await ask(client, api)
        assert type(outcome.error) is openai.APIConnectionError
        assert outcome.text != ""
        call = model_simulator.wait_until_idle()[-1]
        assert (call.outcome, call.deltas_sent, call.chars_sent) == (fault, 4, len(outcome.text))

    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize("fault", ["cut", "reset", "bad_framing", "close_before_head"])
    async def test_a_broken_connection_without_streaming(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str, fault: str
    ) -> None:
        model_simulator.set_fault(fault)
        outcome = await ask(client, api, stream=False)
        assert type(outcome.error) is openai.APIConnectionError

    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize(("fault", "kind"), [("bad_json", json.JSONDecodeError), ("bad_utf8", UnicodeDecodeError)])
    async def test_bad_bytes_raise_errors_that_are_not_the_sdks(
        self,
        client: AsyncOpenAI,
        model_simulator: ModelSimulator,
        api: str,
        fault: str,
        kind: type[Exception],
    ) -> None:
        model_simulator.set_fault(fault)
        outcome = await ask(client, api)
        assert isinstance(outcome.error, kind)
        assert not isinstance(outcome.error, openai.OpenAIError)


class TestTime:
    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize("fault", ["stall", "no_headers"])
    async def test_silence_ends_in_a_timeout_and_is_seen_as_the_callers_cut(
        self, model_simulator: ModelSimulator, api: str, stream: bool, fault: str
    ) -> None:
        model_simulator.set_fault(fault, after=2)
        async with AsyncOpenAI(api_key="k", base_url=model_simulator.base_url, max_retries=0, timeout=0.3) as client:
            outcome = await ask(client, api, stream)
        assert type(outcome.error) is openai.APITimeoutError
        call = model_simulator.wait_until_idle()[-1]
        assert (call.fault, call.outcome) == (fault, "cut_by_client")

    async def test_a_stall_that_ends_goes_on_to_a_good_end(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        calm = await ask(client, "responses")
        model_simulator.set_fault("stall", after=2, seconds=0.3)
        outcome = await ask(client, "responses")
        assert (outcome.finish, outcome.text) == ("response.completed", calm.text)
        assert model_simulator.wait_until_idle(2)[-1].outcome == "completed"

    @pytest.mark.parametrize("stream", [True, False])
    async def test_comments_keep_the_sdk_waiting_past_its_timeout(
        self, model_simulator: ModelSimulator, stream: bool
    ) -> None:
        model_simulator.set_fault("comments_forever", seconds=0.05)
        async with AsyncOpenAI(api_key="k", base_url=model_simulator.base_url, max_retries=0, timeout=0.3) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.2):
                    await ask(client, "responses", stream)
        assert model_simulator.wait_until_idle()[-1].outcome == "cut_by_client"

    async def test_headers_that_never_come_cost_three_requests_by_default(
        self, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_fault("no_headers")
        async with AsyncOpenAI(api_key="k", base_url=model_simulator.base_url, timeout=0.2) as client:
            outcome = await ask(client, "responses")
        assert type(outcome.error) is openai.APITimeoutError
        assert len(model_simulator.wait_until_idle(3)) == 3

    async def test_slow_first_text_is_slow(self, client: AsyncOpenAI, model_simulator: ModelSimulator) -> None:
        model_simulator.set_fault("slow_first_text", seconds=0.6)
        await ask(client, "responses")
        call = model_simulator.wait_until_idle()[-1]
        assert call.first_text_at is not None
        assert call.first_text_at - call.started_at >= 0.6

    async def test_a_drip_is_one_character_at_a_time(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_fault("drip", seconds=0.002)
        outcome = await ask(client, "responses")
        call = model_simulator.wait_until_idle()[-1]
        assert call.deltas_sent == call.chars_sent == len(outcome.text)

    async def test_a_rule_can_set_the_pace_of_one_call(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_fault("pace", times=1, first_text_seconds=0.05, text_seconds=0.8, delta_seconds=0.02)
        slow_and_fast = [await ask(client, "responses") for _ in range(2)]
        assert slow_and_fast[0].text == slow_and_fast[1].text
        slow, fast = (call.ended_at - call.started_at for call in model_simulator.wait_until_idle(2) if call.ended_at)
        assert 0.7 < slow < 2
        assert fast < slow

    async def test_the_pace_of_all_calls_can_be_set(self, client: AsyncOpenAI, model_simulator: ModelSimulator) -> None:
        model_simulator.set_pace(first_text_seconds=0, tokens_per_second=1000, delta_seconds=0.01)
        await ask(client, "responses")
        call = model_simulator.wait_until_idle()[-1]
        assert call.chars_sent / call.deltas_sent == pytest.approx(17, abs=2)


class TestTexts:
    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize(
        ("fault", "sign"),
        [
            ("foreign_text", "student"),
            ("markdown", "**"),
            ("html_text", "<script>"),
            ("prompt_echo", INSTRUCTIONS.splitlines()[0]),
            ("other_student", "김서연"),
            ("one_word", "우수함"),
        ],
    )
    async def test_each_wrong_text_ends_well(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str, fault: str, sign: str
    ) -> None:
        model_simulator.set_fault(fault)
        outcome = await ask(client, api)
        assert sign in outcome.text
        assert outcome.finish in ("response.completed", "stop")
        call = model_simulator.wait_until_idle()[-1]
        assert (call.outcome, call.fault) == ("completed", fault)

    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize("fault", ["empty_text", "blank_text"])
    async def test_a_text_can_be_nothing(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str, fault: str
    ) -> None:
        model_simulator.set_fault(fault)
        outcome = await ask(client, api)
        assert outcome.text.strip(" \n\u200b") == ""
        assert outcome.finish in ("response.completed", "stop")

    async def test_lengths_and_terms_can_be_forced(self, client: AsyncOpenAI, model_simulator: ModelSimulator) -> None:
        model_simulator.set_faults(
            {"fault": "too_long", "times": 1},
            {"fault": "clean_text", "times": 1},
            {"fault": "fixed_text", "times": 1, "params": {"text": "정해진 글임."}},
        )
        texts = [(await ask(client, "responses")).text for _ in range(3)]
        assert 570 <= len(texts[0]) <= 600
        assert 285 <= len(texts[1]) <= 300
        assert texts[2] == "정해진 글임."

    async def test_a_huge_text_arrives_whole(self, client: AsyncOpenAI, model_simulator: ModelSimulator) -> None:
        model_simulator.set_fault("huge_text", size_bytes=3_000_000)
        outcome = await ask(client, "responses")
        assert len(outcome.text.encode()) >= 3_000_000
        assert outcome.finish == "response.completed"

    async def test_a_huge_line_is_sent_as_one_line(self, model_simulator: ModelSimulator) -> None:
        model_simulator.set_fault("huge_line")
        _, received = await exchange(model_simulator, post(stream=True), read_limit=12_000_000)
        assert received.count(b"x") >= 10_000_000
        assert received.endswith(b'"}\n\n\r\n0\r\n\r\n')


class TestAiming:
    async def test_a_marker_in_the_notes_aims_at_one_version_once(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        notes = NOTES + " [[fault:cut after=5 times=1 version=2]]"
        outcomes = [
            await ask(client, "responses", notes=notes, metadata={"task_id": "t", "version": version})
            for version in ("1", "2", "2", "3")
        ]
        assert [type(outcome.error) for outcome in outcomes] == [
            type(None),
            openai.APIConnectionError,
            type(None),
            type(None),
        ]
        assert not any("fault" in outcome.text for outcome in outcomes)

    async def test_a_header_aims_at_one_call(self, client: AsyncOpenAI) -> None:
        outcome = await ask(client, "responses", extra_headers={"x-simulator-fault": "quota_exhausted"})
        assert isinstance(outcome.error, openai.RateLimitError)

    async def test_an_unknown_fault_is_a_visible_400(self, client: AsyncOpenAI) -> None:
        outcome = await ask(client, "responses", notes="[[fault:nonsense]]")
        assert isinstance(outcome.error, openai.BadRequestError)
        assert outcome.error.code == "unknown_fault"

    def test_a_wrong_rule_is_refused_and_the_old_ones_stay(self, model_simulator: ModelSimulator) -> None:
        model_simulator.set_fault("cut")
        with pytest.raises(ValueError, match="fault"):
            model_simulator.set_fault("nonsense")
        assert [rule["fault"] for rule in model_simulator.fault_rules()] == ["cut"]


class TestLimits:
    async def test_requests_per_minute_are_held_with_the_real_headers(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_limits(requests_per_minute=2)
        raw = await client.responses.with_raw_response.create(model="m", input=NOTES)
        assert raw.headers["x-ratelimit-limit-requests"] == "2"
        assert raw.headers["x-ratelimit-remaining-requests"] == "1"
        await ask(client, "responses")
        outcome = await ask(client, "responses")
        assert isinstance(outcome.error, openai.RateLimitError)
        assert 25 <= float(outcome.error.response.headers["retry-after"]) <= 30
        assert outcome.error.response.headers["x-ratelimit-reset-requests"].endswith("ms")
        assert model_simulator.calls()[-1].outcome == "rate_limited"

    async def test_tokens_per_minute_are_held_and_fill_up(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_limits(tokens_per_minute=60_000, burst_seconds=0.3)
        outcomes = [await ask(client, "responses") for _ in range(2)]
        assert outcomes[0].error is None
        assert isinstance(outcomes[1].error, openai.RateLimitError)
        await asyncio.sleep(float(outcomes[1].error.response.headers["retry-after-ms"]) / 1000 + 0.01)
        assert (await ask(client, "responses")).error is None


class TestCallLog:
    async def test_a_call_is_logged_with_its_metadata_and_without_its_text(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        metadata = {"task_id": "task-1", "version": "2", "purpose": "draft", "attempt": "3"}
        outcome = await ask(client, "responses", metadata=metadata)
        await ask(client, "responses", safety_identifier="somebody")
        first, second = model_simulator.wait_until_idle(2)
        assert (first.task_id, first.version, first.purpose, first.attempt) == ("task-1", "2", "draft", "3")
        assert (first.task_tag, second.task_tag) == ("task-1", "somebody")
        assert (first.outcome, first.chars_sent, first.stream, first.status) == (
            "completed",
            len(outcome.text),
            True,
            200,
        )
        assert [call.ordinal for call in model_simulator.calls("task-1")] == [first.ordinal]
        summary = json.dumps(model_simulator.call_summary(), ensure_ascii=False)
        assert not any(word in summary + model_simulator.log() for word in ("삼투압", "감자", outcome.text[:10]))

    @pytest.mark.parametrize("api", APIS)
    async def test_a_caller_that_leaves_is_seen_within_one_delta(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator, api: str
    ) -> None:
        model_simulator.set_profile("seed")
        first_text = asyncio.Event()

        async def read_for_ever() -> None:
            messages: Any = [{"role": "user", "content": NOTES}]
            stream: Any = (
                await client.responses.create(model="m", input=NOTES, stream=True)
                if api == "responses"
                else await client.chat.completions.create(model="m", messages=messages, stream=True)
            )
            async with stream:
                async for _ in stream:
                    if model_simulator.calls()[-1].deltas_sent:
                        first_text.set()

        task = asyncio.create_task(read_for_ever())
        await asyncio.wait_for(first_text.wait(), 10)
        left_at = model_simulator.call_summary()["now"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        call = model_simulator.wait_until_idle()[-1]
        assert call.outcome == "cut_by_client"
        assert call.ended_at is not None
        assert call.ended_at - left_at < 0.5

    async def test_running_calls_are_counted(self, client: AsyncOpenAI, model_simulator: ModelSimulator) -> None:
        model_simulator.set_fault("stall")
        tasks = [asyncio.create_task(ask(client, "responses")) for _ in range(5)]
        await asyncio.to_thread(
            model_simulator.wait_until,
            lambda calls: len([call for call in calls if call.deltas_sent == 3]) == 5,
        )
        assert model_simulator.call_summary()["running_count"] == 5
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert model_simulator.wait_until_idle(5)[0].outcome == "cut_by_client"
        assert model_simulator.call_summary()["peak_running_count"] == 5

    def test_pages_are_bounded(self, model_simulator: ModelSimulator) -> None:
        with openai.OpenAI(api_key="k", base_url=model_simulator.base_url, max_retries=0) as client:
            for _ in range(3):
                client.responses.create(model="m", input=NOTES)
        assert len(model_simulator.call_summary(limit=2)["calls"]) == 2
        assert len(model_simulator.calls()) == 3


def post(stream: bool, extra: bytes = b"") -> bytes:
    content = json.dumps({"model": "m", "input": NOTES, "stream": stream}).encode()
    head = b"POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
    return head + extra + b"content-length: %d\r\n\r\n" % len(content) + content


async def exchange(simulator: ModelSimulator, request: bytes, read_limit: int = 1_000_000) -> tuple[str, bytes]:
    """Send raw bytes and return the head and what follows, until the end of the answer or of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=read_limit)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            received = b""
            while not received.endswith(b"0\r\n\r\n") and len(received) < read_limit:
                if b"chunked" not in head or not (data := await reader.read(262_144)):
                    break
                received += data
        return head.decode(), received
    finally:
        writer.close()
        await writer.wait_closed()


class TestWire:
    @pytest.mark.parametrize(
        ("request_bytes", "status"),
        [
            (b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n", 404),
            (b"GET /v1/responses HTTP/1.1\r\nhost: x\r\n\r\n", 405),
            (b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 200),
            (b"GET /control/nothing HTTP/1.1\r\nhost: x\r\n\r\n", 404),
            (b"POST /control/calls HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 405),
            (b"GET /control/calls?after=x HTTP/1.1\r\nhost: x\r\n\r\n", 422),
        ],
    )
    async def test_other_requests_are_answered(
        self, model_simulator: ModelSimulator, request_bytes: bytes, status: int
    ) -> None:
        head, _ = await exchange(model_simulator, request_bytes)
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert "x-draftstream-simulator: true" in head

    async def test_a_body_over_the_limit_is_refused(self, model_simulator: ModelSimulator) -> None:
        with pytest.raises(openai.APIStatusError) as refused:
            async with AsyncOpenAI(api_key="k", base_url=model_simulator.base_url, max_retries=0) as client:
                await client.responses.create(model="m", input="가" * 3_000_000)
        assert refused.value.status_code == 413

    @pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9\r\n\r\n", b"a: " + b"b" * 70_000])
    async def test_junk_closes_the_connection(self, model_simulator: ModelSimulator, junk: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", model_simulator.port)
        writer.write(junk)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()

    async def test_a_reader_that_does_not_read_holds_its_stream_and_no_memory(
        self, client: AsyncOpenAI, model_simulator: ModelSimulator
    ) -> None:
        model_simulator.set_fault("huge_text", size_bytes=20_000_000, times=1)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", model_simulator.port))
            deaf.sendall(post(stream=True))
            await asyncio.to_thread(model_simulator.wait_until, lambda calls: bool(calls and calls[0].deltas_sent))
            sent = [model_simulator.calls()[0].chars_sent for _ in range(2) if (await ask(client, "responses")).text]
            assert sent[0] == sent[1] < 6_000_000
        assert model_simulator.wait_until_idle(3)[0].outcome == "cut_by_client"


class TestProcess:
    def test_it_says_at_the_start_that_texts_are_simulated(self, model_simulator: ModelSimulator) -> None:
        assert "SIMULATED" in model_simulator.log()

    def test_it_comes_back_on_the_same_port(self) -> None:
        with ModelSimulator() as simulator:
            port = simulator.port
            simulator.stop()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=1)
            simulator.start()
            assert simulator.port == port
            assert simulator.calls() == []

    def test_it_ends_with_its_parent(self) -> None:
        program = (
            "import time\nfrom tests.support.model_simulator import ModelSimulator\n"
            "simulator = ModelSimulator().start()\nprint(simulator.pid, flush=True)\ntime.sleep(60)\n"
        )
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
            os.kill(parent.pid, signal.SIGKILL)
        gone, _ = psutil.wait_procs([child], timeout=10)
        assert gone == [child]

    def test_it_stops_at_once_while_calls_run(self) -> None:
        with ModelSimulator("seed") as simulator:
            request = socket.create_connection(("127.0.0.1", simulator.port))
            request.sendall(post(stream=True))
            simulator.wait_until(lambda calls: len(calls) == 1)
            began = time.monotonic()
            simulator.stop()
            assert time.monotonic() - began < 2
            request.close()

    def test_every_fault_is_documented(self) -> None:
        readme = (Path(__file__).resolve().parents[2] / "deploy/model_simulator/README.md").read_text("utf-8")
        assert [fault for fault in FaultName if f"`{fault}`" not in readme] == []
