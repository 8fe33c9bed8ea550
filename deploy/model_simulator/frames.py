"""Bytes on the wire: HTTP/1.1 heads and chunks (RFC 9112), server-sent events (WHATWG HTML, section 9.2)."""

from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

Header = tuple[str, str]

LAST_CHUNK: Final = b"0\r\n\r\n"
DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE_COMMENT: Final = b": keep-alive\n\n"


class Reply(NamedTuple):
    """A whole answer: status, content type, body and what else its head says."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[Header, ...] = ()


def write_head(status: int, headers: tuple[Header, ...]) -> bytes:
    """Frame a status line and its headers; the simulator names itself in every head."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", "server: draftstream-simulator", "x-draftstream-simulator: true"]
    lines.extend(f"{name}: {value}" for name, value in headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def write_reply(reply: Reply, length: int | None = None) -> bytes:
    """Frame a whole answer; `length` overrides the true content length, to tell a lie."""
    size = len(reply.body) if length is None else length
    headers = (*reply.headers, ("content-type", reply.content_type), ("content-length", str(size)))
    return write_head(reply.status, headers) + reply.body


def write_stream_head(headers: tuple[Header, ...]) -> bytes:
    """Frame the head of an event stream in chunks."""
    stream_headers = (
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("transfer-encoding", "chunked"),
    )
    return write_head(200, (*headers, *stream_headers))


def write_chunk(data: bytes) -> bytes:
    """Frame one chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def write_event(name: str | None, value: object) -> bytes:
    """Frame a JSON value as one event."""
    head = b"" if name is None else b"event: %b\n" % name.encode()
    return b"%bdata: %b\n\n" % (head, orjson.dumps(value))


def json_reply(status: int, value: object, headers: tuple[Header, ...] = ()) -> Reply:
    """Make a whole JSON answer."""
    return Reply(status, "application/json", orjson.dumps(value), headers)
