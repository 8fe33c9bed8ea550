"""Chunks and objects of the Chat Completions API."""

import orjson

from deploy.model_simulator.frames import DONE, write_event
from deploy.model_simulator.generation_call import GenerationCall, JsonObject
from deploy.model_simulator.identity import SIMULATOR_MODEL, SYSTEM_FINGERPRINT, make_id
from deploy.model_simulator.pace import count_tokens
from deploy.model_simulator.responses_api import Finish


class ChatDialect:
    """Tell one answer in chunks; a failure that this API has no chunk for is an error object."""

    def __init__(self, call: GenerationCall, created_at: float, refusing: bool = False) -> None:
        self._call = call
        self._created_at = int(created_at)
        self._field = "refusal" if refusing else "content"
        self._id = make_id("chatcmpl")
        head = orjson.dumps(self._envelope("chat.completion.chunk"))[:-1]
        usage = b',"usage":null' if call.include_usage else b""
        self._delta_template = (
            b"data: %b%b" % (head, usage)
            + b',"choices":[{"index":0,"delta":{"'
            + self._field.encode()
            + b'":%b},"logprobs":null,"finish_reason":null}]}\n\n'
        )

    def opening(self) -> bytes:
        """Say nothing: this API is silent until there is text."""
        return b""

    def content_opening(self) -> bytes:
        """Announce the role."""
        delta = {"role": "assistant", "content": "" if self._field == "content" else None, "refusal": None}
        return self._chunk([self._choice(delta, None)])

    def delta(self, text: str) -> bytes:
        """Add a piece of text."""
        return self._delta_template % orjson.dumps(text)

    def closing(self, text: str, finish: Finish) -> bytes:
        """End the answer: the finish reason, usage if it was asked for, and the end mark."""
        if finish == "failed":
            return self.error_event("server_error", "The simulated model failed.")
        parts = [self._chunk([self._choice({}, finish)])]
        if self._call.include_usage:
            value = {**self._envelope("chat.completion.chunk"), "choices": [], "usage": self._usage(text)}
            parts.append(write_event(None, value))
        return b"".join((*parts, DONE))

    def error_event(self, code: str, message: str) -> bytes:
        """Report an error as an object in the stream."""
        error = {"message": message, "type": "server_error", "param": None, "code": code}
        return write_event(None, {"error": error})

    def whole(self, text: str, finish: Finish) -> bytes:
        """Return the whole answer as one JSON object."""
        message: dict[str, object] = {"role": "assistant", "content": None, "refusal": None, self._field: text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        metadata = {**self._call.metadata, "simulated": "true"}
        value = {**self._envelope("chat.completion"), "choices": [choice], "metadata": metadata}
        return orjson.dumps({**value, "usage": self._usage(text)})

    def _chunk(self, choices: list[dict[str, object]]) -> bytes:
        value = {**self._envelope("chat.completion.chunk"), "choices": choices}
        if self._call.include_usage:
            value["usage"] = None
        return write_event(None, value)

    @staticmethod
    def _choice(delta: dict[str, str | None], finish: Finish | None) -> dict[str, object]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    def _envelope(self, kind: str) -> dict[str, object]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created_at,
            "model": SIMULATOR_MODEL,
            "service_tier": "default",
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }

    def _usage(self, text: str) -> JsonObject:
        prompt_count = count_tokens(self._call.instructions + self._call.notes)
        completion_count = count_tokens(text)
        return {
            "prompt_tokens": prompt_count,
            "completion_tokens": completion_count,
            "total_tokens": prompt_count + completion_count,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
