"""One of our services as a child process: started, asked whether it is ready, started again when it died."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from deploy.local.errors import ServiceDied, ServiceSilent
from deploy.local.leash import leash
from deploy.local.ports import HOST, require_free

READY_SECONDS = 60.0
GRACE_SECONDS = 40.0
_POLL_SECONDS = 0.05
_REAP_SECONDS = 10.0
_TAIL_BYTES = 1500
_MAX_LOG_BYTES = 32 << 20


@dataclass(frozen=True)
class ServiceSpec:
    """How a service is started: its module, its settings, and the port and path that tell when it is ready."""

    name: str
    module: str
    port: int
    port_setting: str
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    ready_path: str = "/readyz"


class Service:
    """A service that is started from the main thread, and that ends when the process that started it ends."""

    def __init__(self, spec: ServiceSpec, logs: Path) -> None:
        """Describe it; nothing runs yet."""
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def exit_status(self) -> int | None:
        """Status of its end, negative for a signal; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def launch(self) -> None:
        """Start it without waiting."""
        require_free(self.spec.port, self.spec.port_setting)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self._open_log() as output:
            self._process = subprocess.Popen(
                leash([sys.executable, "-m", self.spec.module, *self.spec.arguments]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.spec.environment, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor
            )

    def _open_log(self) -> IO[bytes]:
        """Begin anew with each system and when it has grown too large; else append, so that a death stays readable."""
        large = self.log.exists() and self.log.stat().st_size > _MAX_LOG_BYTES
        return self.log.open("wb" if large or self._process is None else "ab")

    def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Return when it says that it is ready; raise ServiceDied or ServiceSilent."""
        until = time.monotonic() + timeout_seconds
        while time.monotonic() < until:
            if (status := self.exit_status) is not None:
                raise ServiceDied(self.spec.name, status, self.log, self.tail())
            if self.is_ready():
                return
            time.sleep(_POLL_SECONDS)
        raise ServiceSilent(self.spec.name, timeout_seconds, self.log, self.tail())

    def is_ready(self) -> bool:
        """Ask it once."""
        connection = http.client.HTTPConnection(HOST, self.spec.port, timeout=2)
        try:
            connection.request("GET", self.spec.ready_path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def start(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.wait_ready(timeout_seconds)

    def request_stop(self) -> None:
        """Send SIGTERM and return at once; nothing happens if it does not run."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> int | None:
        """Ask it to end, kill it when the grace is over, and return its exit status."""
        self.request_stop()
        if self._process:
            try:
                self._process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.exit_status

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait(_REAP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def tail(self) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
