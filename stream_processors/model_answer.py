"""What the events of an answer mean, for both APIs. Pure, and suspicious: nobody has validated anything of a stream.

An answer is good only after an explicit good finish and with text that is not blank.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import orjson

from contracts.events import Reason
from stream_processors.errors import ModelError
from stream_processors.model import Finished
from student_records.byte_count import normalise

_REASON_OF_CODE = {
    "insufficient_quota": Reason.QUOTA_EXHAUSTED,
    "billing_hard_limit_reached": Reason.QUOTA_EXHAUSTED,
    "billing_not_active": Reason.QUOTA_EXHAUSTED,
    "rate_limit_exceeded": Reason.RATE_LIMITED,
    "invalid_api_key": Reason.UNAUTHORISED,
    "server_error": Reason.OVERLOADED,
    "server_overloaded": Reason.OVERLOADED,
    "overloaded_error": Reason.OVERLOADED,
    "content_filter": Reason.FILTERED,
    "content_policy_violation": Reason.REFUSED,
    "bio_policy": Reason.REFUSED,
    "misalignment_policy_violation": Reason.REFUSED,
    "invalid_prompt": Reason.INVALID_REQUEST,
    "invalid_request_error": Reason.INVALID_REQUEST,
    "data_residency_mismatch": Reason.INVALID_REQUEST,
    "context_length_exceeded": Reason.INVALID_REQUEST,
    "model_not_found": Reason.INVALID_REQUEST,
}
_DONE = b"[DONE]"
_REASON_OF_INCOMPLETE = {"max_output_tokens": Reason.LENGTH, "content_filter": Reason.FILTERED}
_REASON_OF_FINISH = {"length": Reason.LENGTH, "content_filter": Reason.FILTERED}


def reason_of_codes(*codes: object) -> Reason | None:
    """Return the reason that the first known error code stands for."""
    found = (_REASON_OF_CODE.get(code) for code in codes if isinstance(code, str))
    return next((reason for reason in found if reason is not None), None)


def parse_event(data: bytes) -> object:
    """Return the JSON value that the data of an event hold; raise ModelError when they hold none."""
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(data)
    # The lenient one takes half a character, which some servers send when a character falls between two tokens.
    with suppress(ValueError, RecursionError):
        return json.loads(data.decode())
    raise ModelError(Reason.PROTOCOL, "not JSON")


class Answer(Protocol):
    """One answer while its events are read."""

    begun: bool
    """Whether anything of a stream has come."""
    good: bool
    """Whether the good finish has come."""
    complete: bool
    """Whether nothing more is worth waiting for."""

    def read(self, data: bytes) -> str:
        """Take the data of an event; return its new text, or raise ModelError when the answer ends badly."""

    def finish(self, request_id: str) -> Finished:
        """Return the answer after its last event, or raise ModelError when it was not a good one."""


class _Text(ABC):
    """What both kinds of answer have in common."""

    def __init__(self) -> None:
        self.begun = False
        self.good = False
        self.complete = False
        self._pieces: list[str] = []
        self._refused = False
        self._model = self._response_id = self._service_tier = ""
        self._input_tokens: int | None = None
        self._output_tokens: int | None = None

    def read(self, data: bytes) -> str:
        if self.complete or data.startswith(_DONE):
            self.complete = True
            return ""
        try:
            event = self._event_in(data)
        except ModelError:
            self.complete = self.good
            if self.good:
                return ""  # all that is missing is usage
            raise
        self.begun = True
        return self._take(event)

    def _event_in(self, data: bytes) -> object:
        event = parse_event(data)
        if error := _get(event, "error"):
            raise self._failed(error)
        return event

    @abstractmethod
    def _take(self, event: object) -> str: ...

    def finish(self, request_id: str) -> Finished:
        text = self._whole()
        if self._refused:
            raise self._failure(Reason.REFUSED, "refusal")
        if not self.good:
            raise self._failure(*self._why_not_good())
        if not normalise(text).text.strip():
            raise self._failure(Reason.PROTOCOL, "blank text")
        return Finished(
            text,
            self._input_tokens,
            self._output_tokens,
            self._model,
            self._response_id,
            request_id,
            self._service_tier,
        )

    def _whole(self) -> str:
        return "".join(self._pieces)

    def _why_not_good(self) -> tuple[Reason, str]:
        if self.begun:
            return Reason.TRUNCATED, "no final event"
        return Reason.PROTOCOL, "not a stream"

    def _add(self, piece: object) -> str:
        text = _text(piece)
        if text:
            self._pieces.append(text)
        return text

    def _note_origin(self, source: object) -> None:
        self._model = _text(_get(source, "model")) or self._model
        self._response_id = _text(_get(source, "id")) or self._response_id
        self._service_tier = _text(_get(source, "service_tier")) or self._service_tier

    def _note_usage(self, usage: object, input_name: str, output_name: str) -> None:
        if (count := _count(_get(usage, input_name))) is not None:
            self._input_tokens = count
        if (count := _count(_get(usage, output_name))) is not None:
            self._output_tokens = count

    def _failed(self, error: object) -> ModelError:
        reason = reason_of_codes(_get(error, "code"), _get(error, "type"))
        return self._failure(reason or Reason.PROTOCOL, "response failed")

    def _failure(self, reason: Reason, detail: str) -> ModelError:
        return ModelError(reason, detail, input_tokens=self._input_tokens or 0, output_tokens=self._output_tokens or 0)


class ResponsesAnswer(_Text):
    """An answer of the Responses API; its final event holds the whole text again, which then counts."""

    def __init__(self) -> None:
        super().__init__()
        self._final = ""

    def _take(self, event: object) -> str:
        """Take an event; reasoning and everything unknown says nothing."""
        match _get(event, "type"):
            case "response.output_text.delta":
                return self._add(_get(event, "delta"))
            case "response.refusal.delta" | "response.refusal.done":
                self._refused = True
            case "response.completed":
                self._complete(_get(event, "response"))
            case "response.incomplete":
                self._note_response(response := _get(event, "response"))
                reason = _REASON_OF_INCOMPLETE.get(_text(_get(_get(response, "incomplete_details"), "reason")))
                raise self._failure(reason or Reason.TRUNCATED, "response incomplete")
            case "response.failed":
                self._note_response(response := _get(event, "response"))
                raise self._failed(_get(response, "error"))
            case "error":
                raise self._failed(event)
        return ""

    def _whole(self) -> str:
        return self._final or super()._whole()

    def _complete(self, response: object) -> None:
        self._note_response(response)
        parts = tuple(_parts(response))
        self._refused = self._refused or any(_get(part, "type") == "refusal" for part in parts)
        self._final = "".join(_text(_get(part, "text")) for part in parts if _get(part, "type") == "output_text")
        self.good = self.complete = True

    def _note_response(self, response: object) -> None:
        self._note_origin(response)
        self._note_usage(_get(response, "usage"), "input_tokens", "output_tokens")


class ChatAnswer(_Text):
    """An answer of the Chat Completions API; the usage, where it is told, comes behind the finish."""

    def __init__(self, *, expects_usage: bool) -> None:
        super().__init__()
        self._expects_usage = expects_usage

    def _take(self, event: object) -> str:
        """Take a chunk; only the first choice counts, and reasoning says nothing."""
        self._note_origin(event)
        self._note_usage(usage := _get(event, "usage"), "prompt_tokens", "completion_tokens")
        choices = _get(event, "choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        text = "" if self.good else self._add(_get(_get(choice, "delta"), "content"))
        if _text(_get(_get(choice, "delta"), "refusal")):
            self._refused = True
        self._note_finish(_get(choice, "finish_reason"))
        self.complete = self.good and (usage is not None or not self._expects_usage)
        return text

    def _note_finish(self, finish: object) -> None:
        if finish == "stop":
            self.good = True
        elif isinstance(finish, str) and finish:
            raise self._failure(_REASON_OF_FINISH.get(finish, Reason.PROTOCOL), "another finish than stop")


def _parts(response: object) -> Iterator[object]:
    output = _get(response, "output")
    for item in output if isinstance(output, list) else ():
        content = _get(item, "content")
        if _get(item, "type") == "message" and isinstance(content, list):
            yield from content


def _get(source: object, name: str) -> object:
    return source.get(name) if isinstance(source, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
