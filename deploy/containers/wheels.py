"""The packages that the services run with, fetched on this machine, where pip works, for builds without a network."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.containers.errors import CommandFailed

_FETCH_SECONDS = 600
_TAIL_CHARACTERS = 800


def fetch_wheels(requirements: Path, folder: Path) -> bool:
    """Fill a folder with the wheels of hash-pinned requirements; False when it was filled already.

    The mark is written last, so that an interrupted fetch is done again. Raises CommandFailed.
    """
    mark = folder / "complete"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary=:all:", "--no-deps", "--dest", str(folder), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_FETCH_SECONDS)
    if done.returncode:
        raise CommandFailed(command[2:], done.returncode, done.stderr[-_TAIL_CHARACTERS:])
    mark.write_text(wanted)
    return True
