"""What the adapter takes for granted of the SDK; a new release that breaks one of these is found here."""

import asyncio
import inspect
import json
import ssl
from collections.abc import AsyncIterator

import anyio
import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.attempt import Attempt
from contracts.events import Reason
from contracts.task import TaskId
from stream_processors.deadline import Deadline
from stream_processors.errors import NEVER_RETRIED, ModelError
from stream_processors.model import Finished, ModelCall, Purpose
from stream_processors.model_settings import ModelSettings
from stream_processors.openai_model import REASON_OF_ERROR, OpenAIModel, translate
from student_records.prompts import Prompt

# Only for tokens of a workload identity, which the adapter does not use; the package does not export it.
COVERED_BY_AN_ANCESTOR = {"SubjectTokenProviderError"}


def sdk_errors() -> dict[str, type[Exception]]:
    """Every exception class that the SDK exports or defines where it defines its own."""
    exported = {name: getattr(openai, name) for name in openai.__all__}
    named = {**vars(openai._exceptions), **exported}
    return {name: cls for name, cls in named.items() if inspect.isclass(cls) and issubclass(cls, Exception)}


def test_every_exception_of_the_sdk_has_a_reason_of_its_own() -> None:
    assert len(sdk_errors()) > 15
    unmapped = {name for name, cls in sdk_errors().items() if cls not in REASON_OF_ERROR}
    assert unmapped <= COVERED_BY_AN_ANCESTOR


def test_the_sdk_retries_and_follows_unless_it_is_told_not_to() -> None:
    assert openai.DEFAULT_MAX_RETRIES == 2
    model = OpenAIModel(ModelSettings(base_url="http://127.0.0.1:1", simulated=True))
    assert model._client.max_retries == 0
    assert model._client._client.follow_redirects is False


def test_the_responses_api_still_has_the_fields_that_the_adapter_sends() -> None:
    responses = inspect.signature(openai.AsyncOpenAI(api_key="none").responses.create).parameters
    assert {"instructions", "input", "store", "metadata", "max_output_tokens", "stream"} <= set(responses)
    assert "n" not in responses


# Whatever comes as a stream, only ModelError leaves.

EVENT_TYPES = (
    "response.created",
    "response.output_text.delta",
    "response.refusal.delta",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
    "something.new",
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
known_fields = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(EVENT_TYPES) | json_values,
        "delta": json_values | st.fixed_dictionaries({"content": json_values}),
        "response": json_values
        | st.fixed_dictionaries(
            {},
            optional={
                "output": json_values,
                "usage": json_values,
                "error": json_values,
                "incomplete_details": json_values,
                "id": json_values,
            },
        ),
        "choices": json_values
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "delta": json_values | st.fixed_dictionaries({"content": json_values}),
                    "finish_reason": st.sampled_from(["stop", "length", "eos"]) | json_values,
                },
            ),
            max_size=2,
        ),
        "usage": json_values,
        "error": json_values,
        "code": json_values,
    },
)
lines = st.one_of(
    st.builds(lambda event: b"data: " + json_bytes(event) + b"\n\n", known_fields | json_values),
    st.binary(max_size=20),
    st.sampled_from([b"data: [DONE]\n\n", b": comment\n\n", b"data: " + b"[" * 5000 + b"\n\n", b"data: \xff\n\n"]),
)


def json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


class Body(httpx2.AsyncByteStream):
    def __init__(self, chunks: list[bytes], end: Exception | None = None) -> None:
        self.chunks = chunks
        self.end = end
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.end is not None:
            raise self.end

    async def aclose(self) -> None:
        self.closed = True


async def answer(
    chunks: list[bytes], api: str, content_type: str = "text/event-stream", end: Exception | None = None
) -> Finished | ModelError:
    body = Body(chunks, end)
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": content_type}, stream=body)
    )
    settings = ModelSettings(base_url="http://127.0.0.1:1", simulated=True, api=api)
    model = OpenAIModel(settings, transport=transport)
    call = ModelCall(TaskId("0" * 32), 1, Purpose.DRAFT, Attempt(1, 1), Prompt("지시", "기록"), Deadline.after(10))
    try:
        items = [item async for item in model.stream(call)]
        assert isinstance(items[-1], Finished)
        assert items[-1].text.strip()
        return items[-1]
    except ModelError as error:
        return error
    finally:
        assert body.closed
        await model.close()


@pytest.mark.parametrize("api", ["responses", "chat"])
@settings(max_examples=100, deadline=None)
@given(chunks=st.lists(lines, max_size=6))
def test_whatever_a_server_streams_only_a_good_answer_or_a_model_error_leaves(api: str, chunks: list[bytes]) -> None:
    result = asyncio.run(answer(chunks, api))
    if isinstance(result, ModelError):
        assert result.__cause__ is None
        assert result.__context__ is None


CHAT_WORDS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant"}}]},
    {"choices": []},
    {"choices": [{"index": 0, "delta": {"reasoning_content": "생각"}}]},
    {"choices": [{"index": 0, "delta": {"content": "자료를 "}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "정리함."}, "finish_reason": "stop"}]},
]


@pytest.mark.parametrize("tail", [[], [b"data: [DONE]\n\n"]])
async def test_other_servers_ways_of_chat_are_understood(tail: list[bytes]) -> None:
    chunks = [b"data: " + json_bytes(word) + b"\n\n" for word in CHAT_WORDS] + tail
    finished = await answer(chunks, "chat")
    assert isinstance(finished, Finished)
    assert finished.text == "자료를 정리함."
    assert finished.input_tokens is None


@pytest.mark.parametrize(
    "last", [b'data: {"error": {"code": "server_error"}}\n\n', b"data: <html>\n\n", b"data: \xff\n\n"]
)
async def test_what_breaks_behind_a_good_finish_costs_only_the_usage(last: bytes) -> None:
    chunks = [b"data: " + json_bytes(word) + b"\n\n" for word in CHAT_WORDS]
    finished = await answer([*chunks, last], "chat")
    assert isinstance(finished, Finished)
    assert (finished.text, finished.input_tokens) == ("자료를 정리함.", None)


async def test_nothing_behind_the_mark_of_the_end_is_read() -> None:
    chunks = [b"data: " + json_bytes(word) + b"\n\n" for word in CHAT_WORDS]
    error = await answer([*chunks[:-1], b"data: [DONE]\n\n" + chunks[-1]], "chat")
    assert isinstance(error, ModelError)
    assert error.reason is Reason.TRUNCATED


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_a_stream_may_be_cut_into_chunks_anywhere_and_written_in_any_way(size: int) -> None:
    lines = [b"data:" + json_bytes(word) + b"\r\n\r\n" for word in CHAT_WORDS]
    whole = b"\xef\xbb\xbf: hello\r\n\r\nevent: ping\r\n\r\nid: 1\r\n" + b"".join(lines).replace(b", ", b",\r\ndata: ")
    finished = await answer([whole[at : at + size] for at in range(0, len(whole), size)], "chat", "text/plain")
    assert isinstance(finished, Finished)
    assert finished.text == "자료를 정리함."


async def test_half_a_character_in_one_event_and_half_in_the_next_is_text() -> None:
    halves = [{"choices": [{"delta": {"content": half}}]} for half in ("정리함", "\ud83d", "\ude00")]
    chunks = [b"data: " + json_bytes(word) + b"\n\n" for word in [*halves, CHAT_WORDS[-1]]]
    finished = await answer(chunks, "chat")
    assert isinstance(finished, Finished)
    assert len(finished.text) == len("정리함.정리함.") + 1


@pytest.mark.parametrize(
    ("end", "begun", "reason"),
    [
        (httpx2.ReadTimeout(""), True, Reason.TIMEOUT),
        (httpx2.ReadError(""), True, Reason.TRUNCATED),
        (httpx2.RemoteProtocolError(""), True, Reason.TRUNCATED),
        (anyio.EndOfStream(), True, Reason.TRUNCATED),
        (ssl.SSLError(), True, Reason.TRUNCATED),
        (ConnectionResetError(), True, Reason.TRUNCATED),
        (httpx2.ReadError(""), False, Reason.OVERLOADED),
        (anyio.EndOfStream(), False, Reason.OVERLOADED),
    ],
)
async def test_a_connection_that_breaks_has_its_reason(end: Exception, begun: bool, reason: Reason) -> None:
    chunks = [b"data: " + json_bytes(CHAT_WORDS[3]) + b"\n\n"] if begun else []
    error = await answer(chunks, "chat", end=end)
    assert isinstance(error, ModelError)
    assert (error.reason, error.retryable) == (reason, True)
    assert error.__context__ is None


async def test_a_responses_server_without_usage_numbers_or_final_output_will_do() -> None:
    events = [
        {"type": "response.reasoning_text.delta", "delta": "생각"},
        {"type": "response.output_text.delta", "delta": "정리함."},
        {"type": "response.completed", "response": {"id": "r"}},
    ]
    finished = await answer([b"data: " + json_bytes(event) + b"\n\n" for event in events], "responses")
    assert isinstance(finished, Finished)
    assert (finished.text, finished.input_tokens, finished.response_id) == ("정리함.", None, "r")


async def test_the_final_output_counts_where_deltas_were_lost() -> None:
    part = {"type": "output_text", "text": "자료를 정리함."}
    output = [{"type": "message", "content": [part]}]
    events = [
        {"type": "response.output_text.delta", "delta": "정리함."},
        {
            "type": "response.completed",
            "response": {"output": output, "usage": {"input_tokens": 3, "output_tokens": 4}},
        },
    ]
    finished = await answer([b"data: " + json_bytes(event) + b"\n\n" for event in events], "responses")
    assert isinstance(finished, Finished)
    assert (finished.text, finished.input_tokens, finished.output_tokens) == ("자료를 정리함.", 3, 4)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("server_error", Reason.OVERLOADED),
        ("rate_limit_exceeded", Reason.RATE_LIMITED),
        ("insufficient_quota", Reason.QUOTA_EXHAUSTED),
        ("invalid_prompt", Reason.INVALID_REQUEST),
        ("bio_policy", Reason.REFUSED),
        ("news_to_us", Reason.PROTOCOL),
    ],
)
async def test_a_failed_response_tells_why_in_its_code(code: str, reason: Reason) -> None:
    failed = {"type": "response.failed", "response": {"error": {"code": code, "message": "비밀"}}}
    error = await answer([b"data: " + json_bytes(failed) + b"\n\n"], "responses")
    assert isinstance(error, ModelError)
    assert error.reason is reason
    assert error.retryable is (reason not in NEVER_RETRIED)


async def test_a_compressed_answer_is_not_read() -> None:
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Body([b"x"]))
    )
    model = OpenAIModel(ModelSettings(base_url="http://127.0.0.1:1", simulated=True), transport=transport)
    call = ModelCall(TaskId("0" * 32), 1, Purpose.DRAFT, Attempt(1, 1), Prompt("지시", "기록"), Deadline.after(10))
    with pytest.raises(ModelError) as caught:
        _ = [item async for item in model.stream(call)]
    assert caught.value.detail == "compressed answer"
    await model.close()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, Reason.PROTOCOL),
        (400, Reason.INVALID_REQUEST),
        (402, Reason.QUOTA_EXHAUSTED),
        (404, Reason.INVALID_REQUEST),
        (408, Reason.TIMEOUT),
        (413, Reason.INVALID_REQUEST),
        (418, Reason.INVALID_REQUEST),
        (429, Reason.RATE_LIMITED),
        (500, Reason.OVERLOADED),
        (529, Reason.OVERLOADED),
    ],
)
def test_a_status_alone_has_a_reason(status: int, reason: Reason) -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/v1/responses")
    client = openai.AsyncOpenAI(api_key="none")
    response = httpx2.Response(status, request=request)
    error = client._make_status_error("비밀", body=None, response=response)
    translated = translate(error, begun=False)
    assert translated.reason is reason
    assert "비밀" not in str(translated)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("3", 3, 3),
        ("0.5", 0.5, 0.5),
        ("99999999", 86_400, 86_400),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400, 86_400),
        ("Fri, 01 Jan 2010 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_at_most_a_day(value: str, least: float, most: float) -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/v1/responses")
    response = httpx2.Response(429, headers={"retry-after": value}, request=request)
    error = translate(openai.RateLimitError("", response=response, body=None), begun=False)
    assert error.retry_after_seconds is not None
    assert least <= error.retry_after_seconds <= most


@pytest.mark.parametrize("value", ["", "soon", "-5", "nan", "inf", "1e400"])
def test_a_retry_after_that_is_neither_is_none(value: str) -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/v1/responses")
    response = httpx2.Response(429, headers={"retry-after": value}, request=request)
    error = translate(openai.RateLimitError("", response=response, body=None), begun=False)
    assert error.retry_after_seconds in (None, 86_400)
