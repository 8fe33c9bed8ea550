"""What a caller asked for, read from a request body of either API."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

Api = Literal["responses", "chat"]
Metadata: TypeAlias = dict[str, str]
JsonObject: TypeAlias = dict[str, JsonValue]

MARKER = re.compile(r"\[\[fault:([^\]\n]{1,300})\]\]")


class InvalidCallError(Exception):
    """The body is not one the API accepts; `parameter` names the field."""

    def __init__(self, parameter: str | None, reason: str) -> None:
        super().__init__(reason)
        self.parameter = parameter
        self.reason = reason


class _ContentPart(BaseModel):
    model_config = ConfigDict(extra="ignore")
    text: str = ""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["user", "system", "developer", "assistant", "tool"] = "user"
    content: str | list[_ContentPart] = ""

    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")
    model: str = Field(min_length=1)
    stream: bool | None = None
    metadata: Metadata | None = None
    safety_identifier: str | None = None
    user: str | None = None
    store: bool | None = None
    temperature: float | None = None


class _ResponsesBody(_Body):
    instructions: str | None = None
    input: str | list[_Message]
    max_output_tokens: int | None = Field(default=None, ge=16)


class _ChatBody(_Body):
    messages: list[_Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    stream_options: _StreamOptions | None = None


@dataclass(frozen=True, slots=True)
class GenerationCall:
    """One call, free of the differences between the two APIs."""

    api: Api
    model: str
    instructions: str
    """Everything in the roles system and developer."""
    notes: str
    """Everything in the role user, without fault markers."""
    markers: tuple[str, ...]
    stream: bool
    include_usage: bool
    max_output_tokens: int | None
    metadata: Metadata
    caller_tag: str | None
    temperature: float

    @property
    def searchable_text(self) -> str:
        """Return what a rule's `match` is looked for in."""
        return "\n".join((self.model, self.instructions, self.notes, *self.metadata.values()))

    @property
    def seed_text(self) -> str:
        """Return what the simulated text depends on: the same prompt for the same version gives the same text."""
        return "\x00".join((self.instructions, self.notes, self.metadata.get("version", "")))


_RESPONSES_BODY = TypeAdapter(_ResponsesBody)
_CHAT_BODY = TypeAdapter(_ChatBody)


def read_call(api: Api, body: bytes) -> GenerationCall:
    """Read a request body; raise `InvalidCallError` as the real API would answer 400."""
    try:
        if api == "responses":
            return _from_responses(_RESPONSES_BODY.validate_json(body))
        return _from_chat(_CHAT_BODY.validate_json(body))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or None
        raise InvalidCallError(path, first["msg"]) from None


def _from_responses(body: _ResponsesBody) -> GenerationCall:
    messages = [_Message(content=body.input)] if isinstance(body.input, str) else body.input
    return _build("responses", body, body.instructions, messages, False, body.max_output_tokens)


def _from_chat(body: _ChatBody) -> GenerationCall:
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    limit = body.max_completion_tokens or body.max_tokens
    return _build("chat", body, None, body.messages, include_usage, limit)


def _build(
    api: Api,
    body: _Body,
    instructions: str | None,
    messages: list[_Message],
    include_usage: bool,
    max_output_tokens: int | None,
) -> GenerationCall:
    orders = [message.text() for message in messages if message.role in ("system", "developer")]
    notes = "\n".join(message.text() for message in messages if message.role == "user")
    return GenerationCall(
        api=api,
        model=body.model,
        instructions="\n".join(([instructions] if instructions else []) + orders),
        notes=MARKER.sub("", notes),
        markers=tuple(MARKER.findall(notes)),
        stream=bool(body.stream),
        include_usage=include_usage,
        max_output_tokens=max_output_tokens,
        metadata=body.metadata or {},
        caller_tag=body.safety_identifier or body.user,
        temperature=1.0 if body.temperature is None else body.temperature,
    )
