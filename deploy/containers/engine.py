"""A Docker engine of our own, for machines where none runs: `python -m deploy.containers.engine start|stop`.

An engine that answers already is used and never touched.
"""

import argparse
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from deploy.containers.errors import ContainersError, EngineFailed

SOCKET = Path("/var/run/docker.sock")
FOLDER = Path("/var/lib/draftstream-engine")
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_ASK_SECONDS = 2.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 6
# A shell started by another program often lacks them, and dockerd calls iptables.
_SYSTEM_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"


class Engine:
    """One dockerd with its records, log and process id in a folder."""

    def __init__(self, folder: Path = FOLDER, socket_path: Path = SOCKET, programs: str | None = None) -> None:
        """Describe it; nothing runs yet. `programs` is the search path, by default PATH and the system's folders."""
        self.folder = folder
        self._programs = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATHS}" if programs is None else programs
        self.socket_path = socket_path
        self.log = folder / "dockerd.log"

    def answers(self) -> bool:
        """Ask whether an engine, ours or another, serves the socket."""
        return answers(self.socket_path)

    @property
    def pid(self) -> int | None:
        """Process id of our own engine while it runs."""
        try:
            pid = int((self.folder / "dockerd.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # The number may belong to another program by now.
        return pid if str(self.folder / "data").encode() in command else None

    def start(self, timeout_seconds: float = _START_SECONDS) -> bool:
        """Start it and wait until it answers; False when an engine answered already. Raises EngineFailed."""
        if self.answers():
            return False
        dockerd = shutil.which("dockerd", path=self._programs)
        if dockerd is None:
            raise EngineFailed("There is no Docker engine on this machine: run `make system-packages` first.")
        if os.geteuid() != 0:
            raise EngineFailed("No Docker engine answers and starting one needs root: start it, or do this as root.")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._forget_a_dead_one()
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                self._command(dockerd),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": self._programs},
                start_new_session=True,
            )
        until = time.monotonic() + timeout_seconds
        while not self.answers():
            if process.poll() is not None or time.monotonic() > until:
                process.terminate()
                raise EngineFailed(f"The Docker engine did not start; the end of its log {self.log}:\n{self._tail()}")
            time.sleep(_POLL_SECONDS)
        return True

    def stop(self, timeout_seconds: float = _STOP_SECONDS) -> bool:
        """End our own engine and its containers; False when it does not run. Raises EngineFailed."""
        pid = self.pid
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + timeout_seconds
        while self.pid is not None:
            if time.monotonic() > until:
                raise EngineFailed(f"The Docker engine (process {pid}) does not end; see {self.log}.")
            time.sleep(_POLL_SECONDS)
        return True

    def _forget_a_dead_one(self) -> None:
        """Remove what a killed engine left: it takes a number that is a dead process, or another's, for itself."""
        if self.pid is None:
            for left in ("dockerd.pid", "exec/containerd/containerd.pid"):
                (self.folder / left).unlink(missing_ok=True)

    def _command(self, dockerd: str) -> list[str]:
        return [
            dockerd,
            f"--host=unix://{self.socket_path}",
            "--data-root",
            str(self.folder / "data"),
            "--exec-root",
            str(self.folder / "exec"),
            "--pidfile",
            str(self.folder / "dockerd.pid"),
        ]

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ASK_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_ASK_SECONDS)
        self.sock.connect(str(self._path))


def answers(socket_path: Path = SOCKET) -> bool:
    """Ask an engine's socket for a ping."""
    connection = _SocketConnection(socket_path)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str] | None = None) -> int:
    """Start or stop; exit status 1 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m deploy.containers.engine", description="Run a Docker engine.")
    parser.add_argument("do", choices=("start", "stop"))
    chosen = parser.parse_args(arguments)
    engine = Engine()
    try:
        if chosen.do == "start":
            print(
                f"container engine: started, log {engine.log}" if engine.start() else "container engine: runs already"
            )
        else:
            print("container engine: stopped" if engine.stop() else "container engine: none of ours runs")
    except ContainersError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
