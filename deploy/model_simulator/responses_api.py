"""Events and objects of the Responses API."""

from typing import Literal

import orjson

from deploy.model_simulator.frames import write_event
from deploy.model_simulator.generation_call import GenerationCall, JsonObject
from deploy.model_simulator.identity import SIMULATOR_MODEL, make_id
from deploy.model_simulator.pace import count_tokens

Finish = Literal["stop", "length", "content_filter", "failed"]

_STATUS: dict[Finish, str] = {
    "stop": "completed",
    "length": "incomplete",
    "content_filter": "incomplete",
    "failed": "failed",
}
_INCOMPLETE_REASON: dict[Finish, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_TEXT_DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":%d,'
    b'"item_id":"%b","output_index":0,"content_index":0,"delta":%b,"logprobs":[]}\n\n'
)
_REFUSAL_DELTA = (
    b'event: response.refusal.delta\ndata: {"type":"response.refusal.delta","sequence_number":%d,'
    b'"item_id":"%b","output_index":0,"content_index":0,"delta":%b}\n\n'
)


class ResponsesDialect:
    """Tell one answer in the events of the Responses API, numbered from 0."""

    def __init__(self, call: GenerationCall, created_at: float, refusing: bool = False) -> None:
        self._call = call
        self._created_at = int(created_at)
        self._refusing = refusing
        self._sequence = 0
        self._response_id = make_id("resp")
        self._item_id = make_id("msg")
        self._item_id_bytes = self._item_id.encode()
        self._delta_template = _REFUSAL_DELTA if refusing else _TEXT_DELTA

    def opening(self) -> bytes:
        """Announce the response before there is text."""
        response = self._response("in_progress", None, [], None)
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def content_opening(self) -> bytes:
        """Announce the message and its only part."""
        item = self._item("in_progress", None)
        return self._event("response.output_item.added", output_index=0, item=item) + self._event(
            "response.content_part.added", **self._place(), part=self._part("")
        )

    def delta(self, text: str) -> bytes:
        """Add a piece of text."""
        sequence = self._sequence
        self._sequence = sequence + 1
        return self._delta_template % (sequence, self._item_id_bytes, orjson.dumps(text))

    def closing(self, text: str, finish: Finish) -> bytes:
        """End the answer: the whole text again, then the final event with usage."""
        status = _STATUS[finish]
        response = self._final_response(text, finish)
        if finish == "failed":
            return self._event("response.failed", response=response)
        item_status = "completed" if finish == "stop" else "incomplete"
        return b"".join(
            (
                self._content_done(text),
                self._event("response.content_part.done", **self._place(), part=self._part(text)),
                self._event("response.output_item.done", output_index=0, item=self._item(item_status, text)),
                self._event(f"response.{status}", response=response),
            )
        )

    def error_event(self, code: str, message: str) -> bytes:
        """Report an error as the API's own error event."""
        return self._event("error", code=code, message=message, param=None)

    def whole(self, text: str, finish: Finish) -> bytes:
        """Return the whole answer as one JSON object."""
        return orjson.dumps(self._final_response(text, finish))

    def _content_done(self, text: str) -> bytes:
        if self._refusing:
            return self._event("response.refusal.done", **self._place(), refusal=text)
        return self._event("response.output_text.done", **self._place(), text=text, logprobs=[])

    def _event(self, name: str, **fields: object) -> bytes:
        value = {"type": name, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return write_event(name, value)

    def _place(self) -> dict[str, object]:
        return {"item_id": self._item_id, "output_index": 0, "content_index": 0}

    def _part(self, text: str) -> dict[str, object]:
        if self._refusing:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, status: str, text: str | None) -> dict[str, object]:
        content = [] if text is None else [self._part(text)]
        return {
            "id": self._item_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def _final_response(self, text: str, finish: Finish) -> dict[str, object]:
        item_status = "completed" if finish == "stop" else "incomplete"
        output = [] if finish == "failed" else [self._item(item_status, text)]
        return self._response(_STATUS[finish], finish, output, self._usage(text))

    def _usage(self, text: str) -> JsonObject:
        input_count = count_tokens(self._call.instructions + self._call.notes)
        output_count = count_tokens(text)
        return {
            "input_tokens": input_count,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output_count,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_count + output_count,
        }

    def _response(
        self, status: str, finish: Finish | None, output: list[dict[str, object]], usage: JsonObject | None
    ) -> dict[str, object]:
        reason = _INCOMPLETE_REASON.get(finish) if finish else None
        failure = {"code": "server_error", "message": "The simulated model failed."}
        return {
            "id": self._response_id,
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "background": False,
            "error": failure if finish == "failed" else None,
            "incomplete_details": {"reason": reason} if reason else None,
            "instructions": self._call.instructions or None,
            "max_output_tokens": self._call.max_output_tokens,
            "model": SIMULATOR_MODEL,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "safety_identifier": self._call.caller_tag,
            "service_tier": "default",
            "store": False,
            "temperature": self._call.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage,
            "user": None,
            "metadata": {**self._call.metadata, "simulated": "true"},
        }
