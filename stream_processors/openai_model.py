"""The adapter to OpenAI and to servers that speak like it."""

import asyncio
import email.utils
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import anyio
import httpx2
import openai
from openai import AsyncAPIResponse, AsyncOpenAI, omit

from contracts.events import Reason
from stream_processors.bounded_transport import BoundedTransport, ByteCaps
from stream_processors.deadline import Deadline
from stream_processors.errors import ModelError, Unreadable
from stream_processors.event_stream import EventStream
from stream_processors.model import Delta, Finished, ModelCall
from stream_processors.model_answer import Answer, ChatAnswer, ResponsesAnswer, reason_of_codes
from stream_processors.model_settings import ModelSettings

_SECONDS_AFTER_FINISH = 1.0
_LONGEST_RETRY_AFTER_SECONDS = 86_400.0
_TALKATIVE = ("openai", "httpx2", "httpcore2")

REASON_OF_ERROR: dict[type[Exception], Reason] = {
    openai.OpenAIError: Reason.PROTOCOL,
    openai.APIError: Reason.PROTOCOL,
    openai.APIStatusError: Reason.PROTOCOL,
    openai.APIResponseValidationError: Reason.PROTOCOL,
    openai.APIConnectionError: Reason.OVERLOADED,
    openai.APITimeoutError: Reason.TIMEOUT,
    openai.BadRequestError: Reason.INVALID_REQUEST,
    openai.AuthenticationError: Reason.UNAUTHORISED,
    openai.OAuthError: Reason.UNAUTHORISED,
    openai.PermissionDeniedError: Reason.UNAUTHORISED,
    openai.NotFoundError: Reason.INVALID_REQUEST,
    openai.UnprocessableEntityError: Reason.INVALID_REQUEST,
    openai.ConflictError: Reason.OVERLOADED,
    openai.InternalServerError: Reason.OVERLOADED,
    openai.RateLimitError: Reason.RATE_LIMITED,
    openai.LengthFinishReasonError: Reason.LENGTH,
    openai.ContentFilterFinishReasonError: Reason.FILTERED,
    openai.InvalidWebhookSignatureError: Reason.PROTOCOL,
    openai.WebSocketConnectionClosedError: Reason.PROTOCOL,
    openai.WebSocketQueueFullError: Reason.PROTOCOL,
    httpx2.HTTPError: Reason.OVERLOADED,
    httpx2.TimeoutException: Reason.TIMEOUT,
    httpx2.StreamError: Reason.PROTOCOL,
    Unreadable: Reason.PROTOCOL,
    TimeoutError: Reason.TIMEOUT,
    OSError: Reason.OVERLOADED,
    # What httpx2 passes on when a TLS connection ends without a farewell.
    anyio.EndOfStream: Reason.OVERLOADED,
    # What answers that nobody expected raise inside the SDK, which passes it on.
    ValueError: Reason.PROTOCOL,
    TypeError: Reason.PROTOCOL,
    AttributeError: Reason.PROTOCOL,
    LookupError: Reason.PROTOCOL,
    RecursionError: Reason.PROTOCOL,
}
"""The reason for every error that can leave the SDK or the HTTP client; the nearest ancestor counts."""

_REASON_OF_STATUS = {
    402: Reason.QUOTA_EXHAUSTED,
    408: Reason.TIMEOUT,
    413: Reason.INVALID_REQUEST,
}
_FOREIGN = tuple(REASON_OF_ERROR)
_OF_THE_CONNECTION = (openai.APIConnectionError, httpx2.RequestError, OSError, anyio.EndOfStream)

_T = TypeVar("_T")
_Request = AbstractAsyncContextManager[AsyncAPIResponse[Any]]


class OpenAIModel:
    """Writes through the Responses API, or through Chat Completions where a server has only that.

    The SDK makes the request, retries nothing and follows no redirect. The stream is read here, because the SDK's own
    reading takes most of a generation's processor time. Each call has two clocks, one for the whole call and one for
    the time without new text, and three byte caps. No error that leaves holds anything that the other side said.
    """

    def __init__(self, settings: ModelSettings, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        # At a lower level these loggers write prompts and answers.
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = AsyncOpenAI(
            api_key=settings.api_key.get_secret_value() or "none",
            base_url=settings.base_url,
            max_retries=0,
            http_client=_http_client(settings, transport),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def stream(self, call: ModelCall) -> AsyncIterator[Delta | Finished]:
        """Yield deltas, then `Finished`; raise ModelError."""
        answer = self._new_answer()
        watch = _Watch(self._settings, call.deadline)
        async with AsyncExitStack() as opened:
            response = await _attempt(opened.enter_async_context(self._request(call)), watch, answer)
            chunks = await opened.enter_async_context(aclosing(response.http_response.aiter_raw()))
            events = EventStream()
            while not answer.complete:
                try:
                    chunk = await _attempt(anext(chunks, None), watch, answer)
                except ModelError:
                    if answer.good:
                        break  # all that is missing is usage
                    raise
                if chunk is None:
                    break
                for data in events.feed(chunk):
                    if text := answer.read(data):
                        watch.note_text(text)
                        yield Delta(text)
                if answer.good:
                    watch.shorten(_SECONDS_AFTER_FINISH)
            finished = answer.finish(response.headers.get("x-request-id", ""))
            await _read_to_the_end(chunks)
        yield finished

    def _new_answer(self) -> Answer:
        if self._settings.api == "chat":
            return ChatAnswer(expects_usage=self._settings.ask_for_usage)
        return ResponsesAnswer()

    def _request(self, call: ModelCall) -> _Request:
        return self._request_chat(call) if self._settings.api == "chat" else self._request_responses(call)

    def _request_responses(self, call: ModelCall) -> _Request:
        settings = self._settings
        return self._client.responses.with_streaming_response.create(
            model=settings.name,
            instructions=call.prompt.instructions,
            input=call.prompt.input,
            stream=True,
            store=False,
            max_output_tokens=settings.max_output_tokens or omit,
            metadata=_metadata(call) if settings.sends_metadata else omit,
        )

    def _request_chat(self, call: ModelCall) -> _Request:
        settings = self._settings
        return self._client.chat.completions.with_streaming_response.create(
            model=settings.name,
            messages=[
                {"role": "system", "content": call.prompt.instructions},
                {"role": "user", "content": call.prompt.input},
            ],
            stream=True,
            stream_options={"include_usage": True} if settings.ask_for_usage else omit,
            max_tokens=settings.max_output_tokens or omit,
            metadata=_metadata(call) if settings.sends_metadata else omit,
        )


class _Watch:
    """The clocks and the text cap of one call."""

    def __init__(self, settings: ModelSettings, deadline: Deadline) -> None:
        self._settings = settings
        self._end_at = deadline.within(settings.call_seconds).at
        self._time = asyncio.get_running_loop().time
        self._text_bytes = 0
        self.at = self._end_at
        """When the next chunk must have come, on the event loop's clock."""
        self.shorten(settings.first_text_seconds)

    def note_text(self, text: str) -> None:
        """Begin the silence anew; raise ModelError when there is too much text."""
        self._text_bytes += len(text.encode("utf-8", "surrogatepass"))
        if self._text_bytes > self._settings.text_bytes:
            raise ModelError(Reason.LENGTH, "text too long")
        if text.strip():
            self.at = min(self._end_at, self._time() + self._settings.silence_seconds)

    def shorten(self, seconds: float) -> None:
        """Wait no longer than this for what is left."""
        self.at = min(self.at, self._time() + seconds)


async def _attempt(step: Awaitable[_T], watch: _Watch, answer: Answer) -> _T:
    """Take one step within the clocks; raise every foreign error as ModelError, without a trace of the original."""
    try:
        async with asyncio.timeout_at(watch.at):
            return await step
    except _FOREIGN as error:
        failure = translate(error, begun=answer.begun)
    raise failure


async def _read_to_the_end(chunks: AsyncIterator[bytes]) -> None:
    """Read what little follows a good end, so that the connection can be used again."""
    with suppress(*_FOREIGN):
        async with asyncio.timeout(_SECONDS_AFTER_FINISH):
            async for _ in chunks:
                pass


def translate(error: Exception, *, begun: bool) -> ModelError:
    """Return the ModelError for an error of the SDK or below it; `begun` when text may already have come."""
    own = next((link for link in _chain(error) if isinstance(link, Unreadable)), None)
    if own is not None:
        return ModelError(Reason.PROTOCOL, str(own))
    reason = next(REASON_OF_ERROR[cls] for cls in type(error).__mro__ if cls in REASON_OF_ERROR)
    detail = type(error).__name__
    if isinstance(error, openai.APIStatusError):
        return _translate_status(error, reason)
    if isinstance(error, _OF_THE_CONNECTION) and reason is Reason.OVERLOADED and begun:
        return ModelError(Reason.TRUNCATED, "connection cut")
    if isinstance(error, openai.APIError):
        reason = reason_of_codes(error.code, error.type) or reason
    return ModelError(reason, detail)


def _translate_status(error: openai.APIStatusError, reason: Reason) -> ModelError:
    status = error.status_code
    if 400 <= status < 500 and type(error) is openai.APIStatusError:
        reason = Reason.INVALID_REQUEST
    if status < 500 and status not in (401, 403):
        reason = reason_of_codes(error.code, error.type) or reason
    reason = _REASON_OF_STATUS.get(status, reason)
    return ModelError(
        reason,
        f"status {status}",
        retryable=False if status < 400 else None,
        retry_after_seconds=_retry_after_seconds(error.response.headers) if status >= 400 else None,
        request_id=error.request_id or "",
    )


def _retry_after_seconds(headers: httpx2.Headers) -> float | None:
    """Read `retry-after-ms` or `Retry-After` (RFC 9110, section 10.2.3), at most a day."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with suppress(ValueError):
            if (seconds := float(headers.get(name, "")) / divisor) >= 0:
                return min(seconds, _LONGEST_RETRY_AFTER_SECONDS)
    with suppress(ValueError, TypeError):
        moment = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
        return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_SECONDS)
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    links: list[BaseException] = []
    while error is not None and error not in links:
        links.append(error)
        error = error.__cause__ or error.__context__
    return links


def _metadata(call: ModelCall) -> dict[str, str]:
    return {
        "task_id": call.task_id,
        "version": str(call.version),
        "purpose": call.purpose.value,
        "attempt": str(call.attempt),
    }


def _http_client(settings: ModelSettings, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=settings.concurrent_call_count)
    inner = transport or httpx2.AsyncHTTPTransport(limits=limits, proxy=settings.proxy_url, trust_env=False)
    return httpx2.AsyncClient(
        transport=BoundedTransport(inner, ByteCaps(settings.line_bytes, settings.answer_bytes)),
        follow_redirects=False,
        trust_env=False,
        headers={"accept-encoding": "identity"},
        # Every wait is within the clocks of its call already; another timer for each read would only cost.
        timeout=httpx2.Timeout(None, connect=settings.connect_seconds),
    )
