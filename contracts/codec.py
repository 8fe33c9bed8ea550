"""Records: values as one line of compact UTF-8 JSON, headers after the CloudEvents Kafka binding (binary mode).

Besides the CloudEvents attributes (`ce_id`, `ce_type`, `ce_source`, `ce_time`, `ce_specversion`, `content-type`) a
record has `schema_version`, `attempt`, `sequence`, `owner` and, when known, W3C `traceparent`; a request also has
`digest` (of the submitted body) and `start` (the position of its `task.accepted`). So a reader can route, judge and
frame a record without parsing its value.

Readers ignore unknown fields, skip unknown types, and refuse newer major schema versions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from contracts.attempt import OUTSIDE, Attempt
from contracts.commands import CancellationRequest, GenerationRequest
from contracts.cursor import Position, parse_position
from contracts.errors import CursorError, MalformedRecord, UnknownType, UnsupportedSchema
from contracts.events import EVENT_TYPES, TERMINAL_TYPES, Event, TaskEvent
from contracts.results import TaskResult
from contracts.task import OwnerId, TaskId
from contracts.wire import Wire

SCHEMA_VERSION = "1.0"
_MAJOR = SCHEMA_VERSION.split(".", 1)[0]
REQUEST_TYPE = "generation.requested"
CANCELLATION_TYPE = "generation.cancellation_requested"
RESULT_TYPE = "generation.result"

_Value = TypeVar("_Value", bound=Wire)
RawHeaders = Sequence[tuple[str, bytes]]
_FIXED: RawHeaders = (
    ("ce_specversion", b"1.0"),
    ("content-type", b"application/json"),
    ("schema_version", SCHEMA_VERSION.encode()),
)


@dataclass(frozen=True, slots=True)
class Record:
    """What is published: the key (the task id's bytes), the value and the headers."""

    key: bytes
    value: bytes = field(repr=False)
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose task it is, which service writes, and the trace that it belongs to (W3C `traceparent`, or empty)."""

    owner: OwnerId
    source: str
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """What the headers say of a record."""

    type: str
    owner: OwnerId
    attempt: Attempt = OUTSIDE
    sequence: int = 0
    traceparent: str = ""

    @property
    def terminal(self) -> bool:
        """Whether the record ends its task."""
        return self.type in TERMINAL_TYPES


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """What only a request's headers say: the digest of the submitted body, and where the task starts in the events."""

    digest: str
    start: Position


def encode_event(event: TaskEvent, origin: Origin, *, at: datetime | None = None) -> Record:
    """Return the record of an event."""
    headers = [
        *_cloud_event(event.type, f"{event.task_id}:{event.attempt}:{event.sequence}", origin, at),
        ("attempt", str(event.attempt).encode()),
        ("sequence", b"%d" % event.sequence),
    ]
    return Record(event.task_id.encode(), event.__pydantic_serializer__.to_json(event), headers)


def encode_request(
    request: GenerationRequest, origin: Origin, header: RequestHeader, *, at: datetime | None = None
) -> Record:
    """Return the record of a generation request."""
    headers = [
        *_cloud_event(REQUEST_TYPE, f"{request.task_id}:request", origin, at),
        ("digest", header.digest.encode()),
        ("start", str(header.start).encode()),
    ]
    return Record(request.task_id.encode(), request.model_dump_json().encode(), headers)


def encode_cancellation(request: CancellationRequest, origin: Origin, *, at: datetime | None = None) -> Record:
    """Return the record of a cancellation."""
    headers = _cloud_event(CANCELLATION_TYPE, f"{request.task_id}:cancellation", origin, at)
    return Record(request.task_id.encode(), request.model_dump_json().encode(), headers)


def encode_result(result: TaskResult, origin: Origin, *, at: datetime | None = None) -> Record:
    """Return the record of a result."""
    headers = _cloud_event(RESULT_TYPE, f"{result.task_id}:result", origin, at)
    return Record(result.task_id.encode(), result.model_dump_json().encode(), headers)


def read_header(headers: Iterable[tuple[str, bytes | None]]) -> RecordHeader:
    """Return what a record's headers say; raise UnsupportedSchema or MalformedRecord."""
    found = {name: value for name, value in headers if value is not None}
    schema = _text(found, "schema_version")
    if schema.split(".", 1)[0] != _MAJOR:
        raise UnsupportedSchema("a newer major schema version than this release reads")
    try:
        attempt = Attempt.parse(_text(found, "attempt", str(OUTSIDE)))
        sequence = int(_text(found, "sequence", "0"))
    except ValueError:
        raise MalformedRecord("attempt or sequence", "not of its form") from None
    if not 0 <= sequence < 2**63:
        raise MalformedRecord("sequence", "out of range")
    owner = OwnerId(_text(found, "owner"))
    return RecordHeader(_text(found, "ce_type"), owner, attempt, sequence, _text(found, "traceparent", ""))


def decode_event(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> Event:
    """Return the event of a record; raise UnknownType, UnsupportedSchema or MalformedRecord."""
    header = read_header(headers)
    event = decode_event_value(header.type, value)
    if event.task_id.encode() != key:
        raise MalformedRecord("key", "is not the task id of the value")
    if (event.attempt, event.sequence) != (header.attempt, header.sequence):
        raise MalformedRecord("attempt or sequence", "headers and value differ")
    return event


def decode_event_value(event_type: str, value: bytes | None) -> Event:
    """Return the event of a value whose headers have been read before."""
    if (cls := EVENT_TYPES.get(event_type)) is None:
        raise UnknownType("not an event of this release")
    return cast("Event", _decode(cls, value))


def decode_request(key: bytes | None, value: bytes | None) -> GenerationRequest:
    """Return the generation request of a record, or raise MalformedRecord."""
    request = _decode(GenerationRequest, value)
    if request.task_id.encode() != key:
        raise MalformedRecord("key", "is not the task id of the value")
    return request


def decode_cancellation(key: bytes | None, value: bytes | None) -> CancellationRequest:
    """Return the cancellation of a record, or raise MalformedRecord."""
    request = _decode(CancellationRequest, value)
    if request.task_id.encode() != key:
        raise MalformedRecord("key", "is not the task id of the value")
    return request


def decode_result(value: bytes | None) -> TaskResult:
    """Return the result of a record, or raise MalformedRecord."""
    return _decode(TaskResult, value)


def read_request_header(headers: Iterable[tuple[str, bytes | None]]) -> RequestHeader:
    """Return what only a request's headers say, or raise MalformedRecord."""
    found = {name: value for name, value in headers if value is not None}
    try:
        return RequestHeader(_text(found, "digest"), parse_position(_text(found, "start")))
    except CursorError:
        raise MalformedRecord("start", "not a position") from None


def task_id_of(key: bytes | None) -> TaskId:
    """Return the task id that a record's key holds, or raise MalformedRecord."""
    if not key:
        raise MalformedRecord("key", "missing")
    try:
        return TaskId(key.decode("ascii"))
    except UnicodeDecodeError:
        raise MalformedRecord("key", "not ASCII") from None


def _cloud_event(event_type: str, event_id: str, origin: Origin, at: datetime | None) -> list[tuple[str, bytes]]:
    at = at or datetime.now(UTC)
    headers = [
        ("ce_id", event_id.encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", origin.source.encode()),
        ("ce_time", at.isoformat(timespec="milliseconds").encode()),
        *_FIXED,
        ("owner", origin.owner.encode()),
    ]
    if origin.traceparent:
        headers.append(("traceparent", origin.traceparent.encode()))
    return headers


def _text(found: dict[str, bytes], name: str, default: str | None = None) -> str:
    if (value := found.get(name)) is None:
        if default is None:
            raise MalformedRecord(name, "header missing")
        return default
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise MalformedRecord(name, "header is not UTF-8") from None


def _decode(cls: type[_Value], value: bytes | None) -> _Value:
    if not value:
        raise MalformedRecord("value", "missing")
    try:
        return cls.model_validate_json(value)
    except ValidationError as error:
        raise MalformedRecord(*_first_problem(error)) from None


def _first_problem(error: ValidationError) -> tuple[str, str]:
    """Name the field and the kind of problem; never what the field held."""
    first: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ".".join(map(str, first["loc"])) or "value", first["type"]
