"""The C programs: compiled once for each state of their sources, kept in `.cache/bench`."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent
CACHE = Path(".cache/bench")
_NAMES = ("floor", "client", "producer", "bridge")
_FLAGS = ("-O2", "-Wall", "-Wextra", "-std=gnu11")
PACKAGES = ("gcc", "libc6-dev", "librdkafka-dev", "nginx-light", "libnginx-mod-nchan")
_HEADER = Path("/usr/include/librdkafka/rdkafka.h")


class ProgramsMissing(Exception):
    """Something that the measurement needs is not on this machine."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the compiled programs are."""

    folder: Path

    def path(self, name: str) -> str:
        return str((self.folder / name).absolute())


def install_packages() -> None:
    """Install Debian's packages if compiler or library are missing; raise ProgramsMissing where that cannot be."""
    if shutil.which("gcc") and _HEADER.exists():
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise ProgramsMissing(f"install these packages first: {' '.join(PACKAGES)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]):
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def build_programs(cache: Path = CACHE) -> Programs:
    """Return the programs, after compiling them if their sources have changed."""
    install_packages()
    folder = cache / _fingerprint()
    if all((folder / name).exists() for name in _NAMES):
        return Programs(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _NAMES:
        target = folder / f"{name}.partial"
        command = ["gcc", *_FLAGS, "-o", str(target), str(SOURCES / f"{name}.c"), "-lrdkafka"]
        subprocess.run(command, check=True)
        target.replace(folder / name)
    return Programs(folder)


def _fingerprint() -> str:
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for path in sorted(SOURCES.glob("*.[ch]")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
