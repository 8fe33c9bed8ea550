"""The directory of one broker: who owns it, and what lies in it."""

import base64
import fcntl
import os
import shutil
import time
import uuid
from pathlib import Path

from deploy.local.errors import DataInUse

_LEFTOVER_SECONDS = 10.0
_POLL_SECONDS = 0.05


def new_id() -> str:
    """Return a random id in Kafka's spelling: 128 bits as 22 URL-safe characters that begin with no dash."""
    while True:
        id_ = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not id_.startswith("-"):
            return id_


class DataDirectory:
    """A broker's files. `claim` before anything else, `release` at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def records(self) -> Path:
        """Where Kafka keeps its partitions."""
        return self.path / "records"

    @property
    def properties(self) -> Path:
        """The settings of the last start."""
        return self.path / "server.properties"

    @property
    def log(self) -> Path:
        """What the broker logged; it rolls at 4 MiB and keeps one older file."""
        return self.path / "broker.log"

    @property
    def output(self) -> Path:
        """What Java itself printed since the last start."""
        return self.path / "broker.out"

    @property
    def lock(self) -> int:
        """Descriptor that the broker inherits: the directory is taken for as long as either of the two lives."""
        if self._lock is None:
            raise RuntimeError("claim the data directory first")
        return self._lock

    def claim(self) -> None:
        """Take the directory, or raise DataInUse.

        A broker whose owner was killed is on its way out: that one is waited for, 10 s at most.
        """
        if self._lock is not None:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / "owner.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._wait_for(lock)
        except BaseException:
            os.close(lock)
            raise
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def release(self) -> None:
        """Give the directory back; it is free when the broker has ended too."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def format(self, template: Path, node_id: int, cluster_id: str | None = None) -> None:
        """Lay out a new directory as a copy of a formatted one; an already formatted one stays as it is.

        `meta.properties` comes last and at once, so that a copy that was cut short is done again.
        """
        meta = self.records / "meta.properties"
        if meta.exists():
            return
        shutil.copytree(template, self.records, dirs_exist_ok=True, ignore=shutil.ignore_patterns(meta.name))
        written = self.records / "meta.properties.new"
        written.write_text(
            f"version=1\nnode.id={node_id}\ndirectory.id={new_id()}\ncluster.id={cluster_id or new_id()}\n"
        )
        written.replace(meta)

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of what the broker logged and what Java printed."""
        kept: list[str] = []
        for file in (self.log, self.output):
            if file.exists():
                kept += file.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(kept) or "(it is empty)"

    def _wait_for(self, lock: int) -> None:
        until = time.monotonic() + _LEFTOVER_SECONDS
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(lock, 32, 0).decode()
                if _is_alive(owner) or time.monotonic() > until:
                    raise DataInUse(self.path, f"process {owner}" if owner else "another process") from None
            time.sleep(_POLL_SECONDS)


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return True  # it claims the directory at this moment
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
