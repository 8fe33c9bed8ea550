"""Child processes: pinned to a core, ended with this one, and two that answer commands with lines of JSON."""

import http.client
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from deploy.local.leash import leash
from deploy.local.ports import HOST

_ANSWER_SECONDS = 90.0
_STOP_SECONDS = 15.0


class ChildFailed(Exception):
    """A process of the measurement died or did not answer."""


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Let what is started inside run on one core only; threads and children inherit it."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A process under test; its CPU and memory are those of it and its children."""

    def __init__(self, argv: Sequence[str], port: int, log: Path, environment: Mapping[str, str], core: int | None):
        self._argv = argv
        self.port = port
        self._log = log
        self._environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the parent."""
        assert self._process is not None, "started"
        return self._process.pid

    def start(self) -> None:
        """Start it without waiting."""
        with self._log.open("ab") as log, on_core(self._core):
            self._process = subprocess.Popen(
                leash(self._argv), env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def wait_ready(self, path: str, timeout_seconds: float = 30.0) -> None:
        """Return when a GET of the path gets 200."""
        until = time.monotonic() + timeout_seconds
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                raise ChildFailed(f"the server ended: {self._tail()}")
            if self._answers(path):
                return
            time.sleep(0.01)
        raise ChildFailed(f"the server is not ready: {self._tail()}")

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if not self._process or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-800:] if self._log.exists() else ""


class Commanded:
    """A process that takes commands on its input and answers each with a line of JSON."""

    def __init__(self, argv: Sequence[str], core: int | None) -> None:
        with on_core(core):
            self._process = subprocess.Popen(leash(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()

    def ask(self, command: str, timeout_seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
        """Send a command and return its answer."""
        self.tell(command)
        return self.answer(timeout_seconds)

    def tell(self, command: str) -> None:
        """Send a command whose answer is fetched later."""
        assert self._process.stdin is not None, "a pipe"
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def answer(self, timeout_seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
        """Return the next answer."""
        assert self._process.stdout is not None, "a pipe"
        if not select.select([self._process.stdout], [], [], timeout_seconds)[0]:
            raise ChildFailed("no answer")
        if not (line := self._process.stdout.readline()):
            raise ChildFailed(f"ended with status {self._process.wait(_STOP_SECONDS)}")
        found: dict[str, Any] = json.loads(line)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(_STOP_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
