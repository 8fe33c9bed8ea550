"""A strict reader of event streams, after the WHATWG HTML standard, section "Interpreting an event stream"."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One dispatched event: its type, its data, and the last event id at that moment."""

    type: str
    data: str
    last_event_id: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass(slots=True)
class EventStream:
    """Feed it bytes as they come; it dispatches as a browser would. What is incomplete at the end is not dispatched."""

    last_event_id: str = ""
    retry_ms: int | None = None
    comment_count: int = 0
    _rest: bytes = b""
    _started: bool = False
    _type: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str | None = None

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        """Yield the events that are complete now."""
        self._rest += data
        if not self._started and len(self._rest) >= 3:
            self._rest = self._rest.removeprefix(b"\xef\xbb\xbf")
            self._started = True
        while (line := self._next_line()) is not None:
            if (event := self._take(line.decode("utf-8", "replace"))) is not None:
                yield event

    @property
    def incomplete(self) -> bool:
        """Whether the stream stands in the middle of a block."""
        return bool(self._rest or self._data or self._type)

    def _next_line(self) -> bytes | None:
        match = re.search(rb"\r\n|\n|\r", self._rest)
        if match is None or (match[0] == b"\r" and match.end() == len(self._rest)):
            return None  # a CR at the end may be half of a CR LF
        line, self._rest = self._rest[: match.start()], self._rest[match.end() :]
        return line

    def _take(self, line: str) -> StreamEvent | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comment_count += 1
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if re.fullmatch(r"[0-9]+", value, re.ASCII):
                self.retry_ms = int(value)
        return None

    def _dispatch(self) -> StreamEvent | None:
        if self._id is not None:
            self.last_event_id, self._id = self._id, None
        event_type, data = self._type or "message", self._data
        self._type, self._data = "", []
        return StreamEvent(event_type, "\n".join(data), self.last_event_id) if data else None


def read_all(data: bytes) -> list[StreamEvent]:
    """Return all events of a whole stream."""
    return list(EventStream().feed(data))
