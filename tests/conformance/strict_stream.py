"""An event stream, read as a browser reads it, that fails on whatever the protocol does not allow."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

from typing_extensions import override

from contracts.events import EVENT_TYPES
from tests.support.event_stream import EventStream, StreamEvent

WITHOUT_ID = frozenset({"gap", "overloaded", "shard"})
KNOWN_TYPES = frozenset(EVENT_TYPES) | {"snapshot", "gap", "synced", "overloaded", "shard"}
LOG_FIELDS = frozenset({"type", "task_id", "attempt", "sequence"})


@dataclass(slots=True)
class StrictStream(EventStream):
    """Checks each block and each id as they come; `allows_line_ends` for hostile values, which have several lines."""

    allows_line_ends: bool = False
    raw: bytearray = field(default_factory=bytearray)
    _ids: set[str] = field(default_factory=set)
    _fields: list[str] = field(default_factory=list)
    _utf8: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    @override
    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        self.raw += data
        text = self._utf8.decode(data)
        assert "\ufeff" not in text[:1] or len(self.raw) > len(data), "a stream has no byte order mark"
        yield from EventStream.feed(self, data)

    @override
    def _take(self, line: str) -> StreamEvent | None:
        if line and not line.startswith(":"):
            name = line.partition(":")[0]
            assert name in {"event", "data", "id", "retry"}, f"a field that no event stream has: {name[:40]!r}"
            assert name not in self._fields or (name == "data" and self.allows_line_ends), f"{name} twice in an event"
            assert "\0" not in line or name != "id", "an id with NUL is ignored by a browser"
            self._fields.append(name)
        return EventStream._take(self, line)

    @override
    def _dispatch(self) -> StreamEvent | None:
        fields, self._fields = self._fields, []
        event = EventStream._dispatch(self)
        if event is not None:
            self._check(event, has_id="id" in fields)
        elif fields:
            assert fields == ["retry"], f"a block that is no event: {fields}"
        return event

    def _check(self, event: StreamEvent, *, has_id: bool) -> None:
        assert event.type in KNOWN_TYPES, f"not an event of the protocol: {event.type[:40]!r}"
        if event.type in EVENT_TYPES:
            assert has_id, "events of the log also have `id:`"
            assert self.allows_line_ends or event.json.keys() >= LOG_FIELDS, "All log events carry type, task_id, …"
            assert self.allows_line_ends or event.json["type"] == event.type
        if event.type in WITHOUT_ID:
            assert not has_id, f"{event.type} moves the position"
        if has_id:
            assert event.last_event_id not in self._ids, f"id {event.last_event_id} twice: each once per stream"
            self._ids.add(event.last_event_id)
