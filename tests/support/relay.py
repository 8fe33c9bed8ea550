"""A relay as a process of its own, for tests that start, drain and kill it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.cursor import Position
from contracts.task import OwnerId, TaskId
from contracts.ticket import Ticket, sign_ticket
from deploy.local.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 30.0


class TicketOffice:
    """Signs tickets with a key of its own, whose public half relays read from a file."""

    def __init__(self, folder: Path) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.public_key_file = folder / "ticket.pub.pem"
        public = self.key.public_key()
        self.public_key_file.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def for_task(self, task_id: TaskId, start: Position | None, owner: str = "owner", *, seconds: float = 3600) -> str:
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        return sign_ticket(Ticket(OwnerId(owner), expires, task_id, start), self.key)

    def for_owner(self, owner: str = "owner", *, seconds: float = 3600) -> str:
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        return sign_ticket(Ticket(OwnerId(owner), expires), self.key)


class RelayProcess:
    """`python -m sse_relay` with settings; ready when /readyz says so. Its port stays the same over restarts."""

    def __init__(self, bootstrap: str, prefix: str, office: TicketOffice, **settings: object) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        values = {
            "host": "127.0.0.1",
            "port": self.port,
            "bootstrap": bootstrap,
            "topic_prefix": prefix,
            "ticket_public_key_file": office.public_key_file,
            **settings,
        }
        self._environment = {f"RELAY_{name.upper()}": str(value) for name, value in values.items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start without waiting."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sse_relay"], cwd=ROOT, env={**inherited, **self._environment}
        )

    async def start(self, timeout_seconds: float = READY_SECONDS) -> "RelayProcess":
        """Start, and wait until it is ready."""
        self.launch()
        await self.until_ok("/readyz", timeout_seconds=timeout_seconds)
        return self

    async def until_ok(self, path: str, *, timeout_seconds: float = READY_SECONDS) -> None:
        """Wait until a GET answers 200."""
        await asyncio.to_thread(self._until_ok, path, time.monotonic() + timeout_seconds)

    async def status(self, path: str) -> int:
        """Return the status of a GET, 0 while nothing listens."""
        return await asyncio.to_thread(self._status, path)

    async def metric(self, name: str) -> float:
        """Return a metric's value by its name with labels, 0 if it has none."""
        text = (await asyncio.to_thread(urllib.request.urlopen, f"{self.url}/metrics")).read().decode()
        values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"{name} ")]
        return values[0] if values else 0.0

    def _until_ok(self, path: str, deadline: float) -> None:
        assert self._process is not None
        while self._status(path) != 200:
            assert self._process.poll() is None, f"the relay ended with status {self._process.returncode}"
            assert time.monotonic() < deadline, f"{path} is not 200 in time"
            time.sleep(0.05)  # another process: it cannot call us

    def _status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    async def terminate(self, timeout_seconds: float = 20.0) -> int:
        """Send SIGTERM and return the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, timeout_seconds)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
