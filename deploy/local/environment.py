"""Make the virtual environment: `python3 deploy/local/environment.py local|dev`. Only the standard library.

Every package is pinned and its hash checked. What is installed already is not asked for again, so that a second
start needs no network. The mark is written last: an interrupted install is simply done again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
MARK = VENV / "installed.json"
LOG = ROOT / ".run" / "pip.log"
LOWEST = (3, 11)
IMPLIED = {"dev": ("dev", "local"), "local": ("local",)}


def main() -> int:
    """Install a set of requirements; exit status 1 with one sentence when it cannot be done."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else "local"
    if wanted not in IMPLIED:
        return refuse(f"There is no set of requirements called {wanted}: it is local or dev.")
    if sys.version_info < LOWEST:
        have = ".".join(map(str, sys.version_info[:2]))
        return refuse(f"This needs Python 3.11 or newer and got {have}: run `make PYTHON=python3.11 run` with one.")
    if installed().get(wanted) == fingerprint(wanted):
        return 0
    try:
        import venv
    except ImportError:
        return refuse("Python's venv module is missing: install it (Debian: apt-get install python3-venv).")
    stale = installed().get("python") not in (None, sys.version)
    if stale or not (VENV / "bin" / "python").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        try:
            venv.create(VENV, with_pip=True)
        except subprocess.CalledProcessError:
            return refuse(
                "Python cannot make a virtual environment: install it (Debian: apt-get install python3-venv)."
            )
    return install(wanted)


def install(wanted: str) -> int:
    """Run pip with a line of progress; its own output is in the log."""
    LOG.parent.mkdir(exist_ok=True)
    requirements = ROOT / "requirements" / f"{wanted}.txt"
    total = requirements.read_text().count("==")
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
               "--require-hashes", "-r", str(requirements)]  # fmt: skip
    began, done = time.monotonic(), 0
    with LOG.open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            if line.startswith("Collecting "):
                done += 1
                tell(f"installing Python packages: {done} of about {total} found")
            elif line.startswith("Installing"):
                tell(f"installing Python packages: unpacking {done}                ")
    if pip.returncode:
        print(file=sys.stderr)
        return refuse(
            f"The Python packages could not be installed: check the network and run the same command again; "
            f"pip's own words are in {LOG.relative_to(ROOT)}:\n{LOG.read_text()[-600:]}"
        )
    marks = {name: fingerprint(name) for name in IMPLIED[wanted]}
    MARK.write_text(json.dumps({**installed(), **marks, "python": sys.version}))
    print(f"\rPython packages installed in {time.monotonic() - began:.0f} s                    ", file=sys.stderr)
    return 0


def tell(words: str) -> None:
    """Show progress where a person looks."""
    if sys.stderr.isatty():
        print(f"\r{words}", end="", file=sys.stderr, flush=True)


def installed() -> dict[str, str]:
    """Return what the mark says."""
    try:
        content = json.loads(MARK.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def fingerprint(name: str) -> str:
    """Return what changes when the requirements or the Python do."""
    content = (ROOT / "requirements" / f"{name}.txt").read_bytes()
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def refuse(sentence: str) -> int:
    """Say what to do and return the exit status."""
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
