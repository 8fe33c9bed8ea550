"""What the relay reads of a Kafka record: the headers, each combination of which is parsed only once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from contracts.attempt import Attempt
from contracts.codec import read_header
from contracts.errors import MalformedRecord, UnknownType
from contracts.events import EVENT_TYPES, TERMINAL_TYPES
from contracts.task import OwnerId

_MAX_KINDS = 10_000
_MAX_DIGITS = 18
Headers = Sequence[tuple[str, bytes | None]]


class KafkaMessage(Protocol):
    """The part of confluent_kafka.Message that is used."""

    def key(self) -> bytes | None: ...  # noqa: D102 - Kafka's own words
    def value(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def partition(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Kind:
    """What many records have in common: type, whether it ends a task, and attempt."""

    event_type: bytes
    terminal: bool
    attempt: Attempt


class HeaderReader:
    """Reads headers by the rules of `contracts.codec.read_header`, and remembers what it said of type and attempt."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[bytes | None, ...], Kind] = {}

    def read(self, headers: Headers) -> tuple[Kind, int, bytes]:
        """Return a record's kind, sequence and owner; raise the contracts' RecordError."""
        found = dict(headers)
        try:
            kind = self._kinds[found["schema_version"], found["ce_type"], found["attempt"]]
            sequence, owner = found["sequence"], found["owner"]
        except KeyError:
            return self._parse(headers, found)
        if not sequence or len(sequence) > _MAX_DIGITS or not sequence.isdigit() or owner is None:
            return self._parse(headers, found)
        return kind, int(sequence), owner

    def _parse(self, headers: Headers, found: dict[str, bytes | None]) -> tuple[Kind, int, bytes]:
        header = read_header(headers)
        if header.type not in EVENT_TYPES:
            raise UnknownType("not an event of this release")
        kind = Kind(header.type.encode(), header.type in TERMINAL_TYPES, header.attempt)
        if len(self._kinds) >= _MAX_KINDS:
            self._kinds.clear()
        self._kinds[found.get("schema_version"), found.get("ce_type"), found.get("attempt")] = kind
        return kind, header.sequence, header.owner.encode()


def has_json_object(value: bytes | None) -> TypeGuard[bytes]:
    """Tell whether a value can be a JSON object, from its first and last byte."""
    return bool(value) and value[0] == 0x7B and value[-1] == 0x7D  # type: ignore[index]  # bool() excludes None


def owner_of(raw: bytes) -> OwnerId:
    """Return the owner that a header holds, or raise MalformedRecord."""
    try:
        return OwnerId(raw.decode())
    except UnicodeDecodeError:
        raise MalformedRecord("owner", "header is not UTF-8") from None
