"""Cursors: where a reader of the events topic is, as *last seen* positions.

Written `PARTITION-OFFSET`, several joined by `.`, for example `3-1042` or `0-17.3-1042`; a task's last record has
`-end` behind it, so that the end needs no state on any server. The text is opaque to clients.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from contracts.errors import CursorError

MAX_CURSOR_CHARACTERS = 4096
_POSITION = r"(?:0|[1-9][0-9]{0,4})-(?:0|[1-9][0-9]{0,18})"
_SINGLE = re.compile(rf"({_POSITION})(-end)?", re.ASCII)
_COMPOSITE = re.compile(rf"{_POSITION}(?:\.{_POSITION})*", re.ASCII)


class Position(NamedTuple):
    """One record of a topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last record of one task that a client has seen; `end` when it was the terminal event."""

    position: Position
    end: bool = False

    def __str__(self) -> str:
        return f"{self.position}-end" if self.end else str(self.position)


@dataclass(frozen=True, slots=True)
class CompositeCursor:
    """The last record that a client has seen of each partition; a partition not named: nothing seen of it."""

    offsets: tuple[Position, ...] = ()

    def __str__(self) -> str:
        return ".".join(map(str, self.offsets))


def parse_position(text: str) -> Position:
    """Return the position that `str()` wrote, or raise CursorError."""
    cursor = parse_cursor(text)
    if cursor.end:
        raise CursorError("a position has no end mark")
    return cursor.position


def parse_cursor(text: str) -> Cursor:
    """Return the cursor of one task, or raise CursorError."""
    match = _SINGLE.fullmatch(text[:64])
    if not match or len(text) > 64:
        raise CursorError("not a cursor of one task")
    return Cursor(_position(match[1]), end=match[2] is not None)


def parse_composite_cursor(text: str) -> CompositeCursor:
    """Return the cursor of an owner's stream, or raise CursorError; each partition is named once, in order."""
    if len(text) > MAX_CURSOR_CHARACTERS or not _COMPOSITE.fullmatch(text):
        raise CursorError("not a cursor of an owner's stream")
    offsets = tuple(_position(part) for part in text.split("."))
    partitions = [position.partition for position in offsets]
    if partitions != sorted(set(partitions)):
        raise CursorError("a partition is named twice or out of order")
    return CompositeCursor(offsets)


def _position(text: str) -> Position:
    partition, _, offset = text.partition("-")
    position = Position(int(partition), int(offset))
    if position.offset >= 2**63:
        raise CursorError("an offset has at most 63 bits")
    return position
