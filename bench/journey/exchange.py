"""One HTTP request on a connection of its own: light enough that the client is not what is measured."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

MAX_ANSWER_BYTES = 1 << 20
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Address":
        """Read `http://HOST:PORT…`."""
        host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        return cls(host, int(port))


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body (never shown in a repr of something larger)."""

    status: int
    body: Any


class BrokenAnswer(Exception):
    """The connection ended before a whole answer had come."""


def write_request(method: str, path: str, address: Address, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Write a request whose connection ends after it."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address.host}:{address.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def post_json(address: Address, path: str, body: object) -> Answer:
    """Send JSON and read the answer; raises OSError and BrokenAnswer."""
    headers = {"Content-Type": "application/json", "Connection": "close"}
    request = write_request("POST", path, address, headers, orjson.dumps(body))
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=MAX_ANSWER_BYTES)
    try:
        writer.write(request)
        return read_answer(await reader.read(-1))
    finally:
        writer.close()


def read_answer(raw: bytes) -> Answer:
    """Read a whole answer, with or without chunks."""
    head, end, body = raw.partition(_HEAD_END)
    if not end:
        raise BrokenAnswer
    lines = head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in lines:
        body = _join_chunks(body)
    length = next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), len(body))
    if len(body) < length:
        raise BrokenAnswer
    return Answer(read_status(head), orjson.loads(body) if body else None)


def read_status(head: bytes) -> int:
    """Read the status from an answer's first line."""
    return int(head.split(b" ", 2)[1])


def _join_chunks(body: bytes) -> bytes:
    joined = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        count = int(size or b"0", 16)
        if count == 0:
            return joined
        joined, body = joined + rest[:count], rest[count + 2 :]
