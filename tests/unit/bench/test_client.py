"""The C client notices what it is there to notice: lost, repeated and reordered events, however the bytes are cut."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.relay.programs import SOURCES

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no C compiler on this machine")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("client") / "client"
    subprocess.run(["gcc", "-O1", "-std=gnu11", "-o", str(target), str(SOURCES / "client.c")], check=True)
    return str(target)


def frame(sequence: int, end: bytes = b"\n") -> bytes:
    value = b'{"sequence":%d,"text":"~t%016d"}' % (sequence, 1000)
    return b"id: 0-%d" % sequence + end + b"event: version.delta" + end + b"data: " + value + end + end


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def reported(program: str, tmp_path: Path, answer: bytes, count: int, cut: int = 1 << 20) -> tuple[dict[str, Any], str]:
    """Let the client read one answer, sent in pieces; return its report, and the request of its second connection."""
    requests: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            peer, _ = listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            requests.append(peer.recv(65536).decode())
            for start in range(0, len(answer), cut):
                peer.sendall(answer[start : start + cut])
            open_peers.append(peer)

    open_peers: list[socket.socket] = []
    server = threading.Thread(target=serve)
    server.start()
    path = tmp_path / "requests"
    path.write_text("/v1/tasks/a/events\t\n")
    port = str(listener.getsockname()[1])
    commands = ("open 1 1", f"until {count} 10", "close", "open 1 1")
    with subprocess.Popen(
        [program, port, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        answers = _ask(client, commands)
        server.join(10)
        client.kill()
    for opened in (*open_peers, listener):
        opened.close()
    return answers[1], requests[1]


def _ask(client: subprocess.Popen[str], commands: Sequence[str]) -> list[dict[str, Any]]:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdout.readline()
    answers = []
    for command in commands:
        client.stdin.write(f"{command}\n")
        client.stdin.flush()
        answers.append(json.loads(client.stdout.readline()))
    return answers


@pytest.mark.parametrize("cut", [1, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_events_are_counted_however_they_are_cut(program: str, tmp_path: Path, cut: int, end: bytes) -> None:
    body = b":ok" + end + end + b"".join(frame(number, end) for number in range(1, 21))
    report, request = reported(program, tmp_path, HEAD + b"\r\n" + body, 20, cut)
    assert (report["events"], report["comments"]) == (20, 1)
    assert not any(report[name] for name in ("missing", "repeated", "lost"))
    assert "Last-Event-ID: 0-20\r\n" in request


@pytest.mark.parametrize("size", [1, 10, 33, 4000])
def test_chunks_are_taken_apart(program: str, tmp_path: Path, size: int) -> None:
    body = b"".join(frame(number) for number in range(1, 21))
    answer = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, size)
    report, _ = reported(program, tmp_path, answer, 20, cut=13)
    assert (report["events"], report["missing"], report["repeated"]) == (20, 0, 0)


def test_what_is_missing_or_comes_twice_is_counted(program: str, tmp_path: Path) -> None:
    body = b"".join(frame(number) for number in (1, 2, 5, 5, 4, 6))
    report, _ = reported(program, tmp_path, HEAD + b"\r\n" + body, 6)
    assert report["missing"] == 2 + 1, "3 and 4, then 5 behind the late 4"
    assert report["repeated"] == 2, "the second 5, and the late 4"


def test_a_snapshot_is_not_an_event_but_says_where_the_stream_goes_on(program: str, tmp_path: Path) -> None:
    snapshot = b'event: snapshot\ndata: {"text":"~t0000000000001000","sequence":7}\n\n'
    report, _ = reported(program, tmp_path, HEAD + b"\r\n" + snapshot + frame(8) + frame(9), 2)
    assert (report["snapshots"], report["events"], report["missing"]) == (1, 2, 0)
