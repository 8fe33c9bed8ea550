"""Frames: pure bytes of an event stream (WHATWG HTML, section "Server-sent events").

A value is framed without being parsed. Ours are one line of JSON; a hostile one may hold CR or LF, each of which begins
a new line of the stream, so every line of it gets its own `data:`.
"""

import re

_LINE_END = re.compile(rb"\r\n|\r|\n")
_LF, _CR = b"\n\r"  # as numbers: searching a value for one byte is several times faster than for a string of one
COMMENT = b":\n\n"
EVENT_STREAM = b"text/event-stream; charset=utf-8"


def encode_frame(event_type: bytes, value: bytes, cursor: bytes = b"") -> bytes:
    """Return one event; without a cursor it has no `id:` and a client's position stays where it was.

    `event_type` and `cursor` are ours and hold neither line ends nor NUL.
    """
    if _LF in value or _CR in value:
        value = b"\ndata: ".join(_LINE_END.split(value))
    if cursor:
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor, event_type, value)
    return b"event: %b\ndata: %b\n\n" % (event_type, value)


def body_of(frame: bytes) -> bytes:
    """Return a frame with an `id:` line without it: what all viewers share whatever their cursor is."""
    return frame[frame.index(b"\n") + 1 :]


def value_of(frame: bytes) -> bytes:
    """Return the value in a frame; line ends inside it have become LF."""
    start = frame.index(b"\ndata: ") + 7
    return frame[start:-2].replace(b"\ndata: ", b"\n")


def type_of(frame: bytes) -> bytes:
    """Return the event type of a frame."""
    start = frame.index(b"event: ") + 7
    return frame[start : frame.index(b"\n", start)]


def encode_retry(milliseconds: int) -> bytes:
    """Return a block that only sets how long a client waits before it reconnects."""
    return b"retry: %d\n\n" % milliseconds
