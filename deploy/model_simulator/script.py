"""What is sent for one call and when: a lazy list of steps that any connection can play."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from deploy.model_simulator.frames import (
    LAST_CHUNK,
    Header,
    Reply,
    write_chunk,
    write_reply,
    write_stream_head,
)
from deploy.model_simulator.pace import Timing
from deploy.model_simulator.responses_api import Finish


class Ending(Enum):
    """What becomes of the connection after a step."""

    KEEP_ALIVE = "keep_alive"
    CLOSE = "close"
    RESET = "reset"


class Step(NamedTuple):
    """Wait, then write; `char_count` counts characters of text, `ending` is set on the last step only."""

    pause_seconds: float
    data: bytes
    char_count: int = 0
    ending: Ending | None = None


Script = Iterator[Step]


class Dialect(Protocol):
    """One answer in the words of one API; each call returns what is next on the wire."""

    def opening(self) -> bytes:
        """Announce the answer."""

    def content_opening(self) -> bytes:
        """Announce the text."""

    def delta(self, text: str) -> bytes:
        """Add a piece of text."""

    def closing(self, text: str, finish: Finish) -> bytes:
        """End the answer."""

    def error_event(self, code: str, message: str) -> bytes:
        """Report an error inside the stream."""

    def whole(self, text: str, finish: Finish) -> bytes:
        """Return the answer as one object."""


@dataclass(frozen=True, slots=True)
class Performance:
    """Everything a script needs to play one answer."""

    dialect: Dialect
    text: str
    finish: Finish
    timing: Timing
    stream: bool
    headers: tuple[Header, ...]


def perform(show: Performance) -> Script:
    """Play a good answer."""
    if not show.stream:
        yield from play_whole(show)
        return
    yield from play_head(show)
    yield from play_text(show)
    yield Step(0, write_chunk(show.dialect.closing(show.text, show.finish)) + LAST_CHUNK)


def play_head(show: Performance) -> Script:
    """Play the head of a stream and all that comes before its text."""
    quiet_seconds = show.timing.first_text_seconds
    opening = show.dialect.opening()
    yield Step(quiet_seconds * 0.3, write_stream_head(show.headers) + (write_chunk(opening) if opening else b""))
    yield Step(quiet_seconds * 0.7, write_chunk(show.dialect.content_opening()))


def play_text(show: Performance, delta_count: int | None = None) -> Script:
    """Play the text, or only its first deltas."""
    dialect, text = show.dialect, show.text
    _, chars_per_delta, pause_seconds = show.timing
    position, reach, played = 0, 0.0, 0
    while position < len(text) and played != delta_count:
        reach += chars_per_delta
        end = max(int(reach), position + 1)
        piece = text[position:end]
        position = end
        yield Step(pause_seconds if played else 0, write_chunk(dialect.delta(piece)), len(piece))
        played += 1


def play_whole(show: Performance) -> Script:
    """Play an answer that is not streamed: silence for as long as the text takes, then one object."""
    quiet_seconds = show.timing.first_text_seconds + show.timing.text_seconds(len(show.text))
    yield Step(quiet_seconds, write_whole(show), len(show.text))


def write_whole(show: Performance) -> bytes:
    """Frame an answer that is not streamed."""
    body = show.dialect.whole(show.text, show.finish)
    return write_reply(Reply(200, "application/json", body, show.headers))


def play_reply(reply: Reply, pause_seconds: float = 0.0) -> Script:
    """Play one whole reply."""
    yield Step(pause_seconds, write_reply(reply))
