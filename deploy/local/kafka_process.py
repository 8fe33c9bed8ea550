"""One running Kafka: spawned, asked whether it answers, paused, stopped."""

import signal
import socket
import struct
import subprocess
import time
from collections.abc import Sequence

from deploy.local.data_directory import DataDirectory
from deploy.local.errors import BrokerDied, BrokerSilent
from deploy.local.leash import leash
from deploy.local.ports import HOST

_API_VERSIONS_KEY = 18
_CORRELATION_ID = 7
_REQUEST = struct.pack(">ihhih", 10, _API_VERSIONS_KEY, 0, _CORRELATION_ID, -1)
_POLL_SECONDS = 0.03
_REAP_SECONDS = 10.0


class KafkaProcess:
    """A broker's process on a claimed data directory. It ends when the process that spawned it ends."""

    def __init__(self, command: Sequence[str], directory: DataDirectory, port: int) -> None:
        """Spawn it, from the main thread only; it takes about a second until it answers."""
        self._directory, self._port = directory, port
        with directory.output.open("wb") as output:
            self._process = subprocess.Popen(
                leash(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=directory.path,
                start_new_session=True,  # a Ctrl-C in the terminal is for us; we stop the broker
                pass_fds=[directory.lock],
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_ready(self, timeout_seconds: float) -> None:
        """Return when it answers a request; raise BrokerDied or BrokerSilent.

        A broker that lets clients connect may not be in its cluster yet; one that answers is.
        """
        until = time.monotonic() + timeout_seconds
        while (left := until - time.monotonic()) > 0:
            status = self._process.poll()
            if status is not None:
                raise BrokerDied(status, self._directory.log, self._directory.tail())
            if self._answers(left):
                return
            time.sleep(_POLL_SECONDS)
        bootstrap = f"{HOST}:{self._port}"
        raise BrokerSilent(bootstrap, timeout_seconds, self._directory.log, self._directory.tail())

    def wait(self) -> int:
        """Block until it ends by itself and return its exit status."""
        return self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self, grace_seconds: float) -> None:
        """Ask it to end, and kill it when the grace is over."""
        self.signal(signal.SIGCONT)  # a paused one would not hear the request
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(_REAP_SECONDS)

    def _answers(self, timeout_seconds: float) -> bool:
        try:
            with socket.create_connection((HOST, self._port), timeout_seconds) as connection:
                connection.sendall(_REQUEST)
                return connection.recv(8)[4:] == struct.pack(">i", _CORRELATION_ID)
        except OSError:
            return False
