"""A client of one task's stream that notes when things were seen, and keeps nothing of what was said."""

import asyncio
import re
import time
from typing import Any, cast

import orjson
from typing_extensions import override

from bench.journey.exchange import Address, read_status, write_request
from bench.journey.journey import UNFINISHED, Journey
from contracts.events import TERMINAL_TYPES

_HEAD_END = b"\r\n\r\n"
_FRAME_END = b"\n\n"
_EVENT = re.compile(rb"^event: ?(\S+)$", re.MULTILINE)
_DATA = re.compile(rb"^data: ?(.*)$", re.MULTILINE)
_OK = 200


class StreamTap(asyncio.Protocol):
    """Notes the times of one stream in a journey; `over` is set when the connection has ended.

    Once every version has shown its first text, deltas are no longer parsed: that would be the client's time.
    """

    def __init__(self, journey: Journey, request: bytes, version_count: int) -> None:
        self._journey = journey
        self._request = request
        self._version_count = version_count
        self._buffer = b""
        self._in_body = self._closing = False
        self.over = asyncio.Event()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self._buffer += data
        if not self._in_body and not self._take_head():
            return
        *frames, self._buffer = self._buffer.split(_FRAME_END)
        for frame in frames:
            self._take(frame, at)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closing and self._journey.outcome == UNFINISHED:
            self._journey.outcome = f"broken {type(exc).__name__ if exc else 'stream ended early'}"
        self.over.set()

    def close(self) -> None:
        """End the connection; a journey that has not ended stays unfinished."""
        self._closing = True
        self._transport.abort()

    def _take_head(self) -> bool:
        head, end, rest = self._buffer.partition(_HEAD_END)
        if not end:
            return False
        if (status := read_status(head)) != _OK:
            self._journey.outcome = f"refused {status}"
            self._transport.abort()
            return False
        self._in_body = True
        self._buffer = rest
        return True

    def _take(self, frame: bytes, at: float) -> None:
        found = _EVENT.search(frame)
        if found is None:
            return  # a heartbeat, or a bare `retry:`
        kind = found[1].decode()
        journey = self._journey
        journey.first_event_at = journey.first_event_at or at
        if kind == "version.delta" and len(journey.first_text_at) == self._version_count:
            return
        note_event(journey, kind, _read_data(frame), at)


def note_event(journey: Journey, kind: str, data: dict[str, Any], at: float) -> None:
    """Note what an event shows to somebody who looks at the page."""
    if kind == "snapshot":
        _note_snapshot(journey, data, at)
    elif kind in ("version.delta", "version.replaced"):
        _note_text(journey, data["version"], data["text"], at)
    elif kind == "version.completed":
        _note_text(journey, data["version"], data["text"], at)
        journey.completed_at.setdefault(data["version"], at)
    elif kind in TERMINAL_TYPES:
        _note_end(journey, kind.removeprefix("task."), at)
    if kind != "snapshot" and kind != "task.accepted":
        journey.started_at = journey.started_at or at


def _note_snapshot(journey: Journey, data: dict[str, Any], at: float) -> None:
    if data["started"]:
        journey.started_at = journey.started_at or at
    for version in data["versions"]:
        _note_text(journey, version["version"], version["text"], at)
    if data["ended"]:
        _note_end(journey, data["stage"], at)


def _note_text(journey: Journey, version: int, text: str, at: float) -> None:
    if text:
        journey.first_text_at.setdefault(version, at)


def _note_end(journey: Journey, outcome: str, at: float) -> None:
    if journey.ended_at is None:
        journey.ended_at = at
        journey.outcome = outcome


def _read_data(frame: bytes) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(b"\n".join(_DATA.findall(frame)))
    return data


async def open_tap(events_url: str, ticket: str, journey: Journey, version_count: int) -> StreamTap:
    """Connect to a task's stream; raises OSError."""
    address = Address.of(events_url)
    path = "/" + events_url.removeprefix("http://").partition("/")[2]
    headers = {"Authorization": f"Bearer {ticket}", "Accept": "text/event-stream"}
    request = write_request("GET", path, address, headers)
    loop = asyncio.get_running_loop()
    _, tap = await loop.create_connection(
        lambda: StreamTap(journey, request, version_count), address.host, address.port
    )
    return tap
