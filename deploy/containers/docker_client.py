"""The engine, as far as images are concerned, through its command line."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from deploy.containers.engine import answers
from deploy.containers.errors import CommandFailed, EngineMissing

FINGERPRINT = "draftstream.fingerprint"
"""Label that says what an image was made of, so that an unchanged one is not made again."""

_SHORT_SECONDS = 30
_PULL_SECONDS = 300
_BUILD_SECONDS = 900
_TAIL_CHARACTERS = 1500


def require_engine() -> None:
    """Raise EngineMissing when no engine answers."""
    if not os.environ.get("DOCKER_HOST") and not answers():
        raise EngineMissing


def fingerprint_of(image: str) -> str | None:
    """Return an image's fingerprint: empty when it has none, None when there is no such image."""
    template = f'{{{{index .Config.Labels "{FINGERPRINT}"}}}}'
    asked = _run(["docker", "image", "inspect", "--format", template, image], _SHORT_SECONDS)
    return asked.stdout.strip() if asked.returncode == 0 else None


def pull(image: str) -> bool:
    """Fetch a public image; False when that is not possible here."""
    try:
        return _run(["docker", "pull", "--quiet", image], _PULL_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def build(image: str, folder: Path, target: str, arguments: Mapping[str, str], fingerprint: str) -> None:
    """Build one target of a folder's Dockerfile; raise CommandFailed."""
    command = ["docker", "build", "--quiet", "--tag", image, "--target", target]
    command += ["--label", f"{FINGERPRINT}={fingerprint}"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    built = _run([*command, str(folder)], _BUILD_SECONDS, _builder())
    if built.returncode:
        raise CommandFailed(command, built.returncode, (built.stdout + built.stderr)[-_TAIL_CHARACTERS:])


def import_image(image: str, write: Callable[[IO[bytes]], None], changes: Sequence[str], fingerprint: str) -> None:
    """Make an image from the tar stream that `write` writes; `changes` are instructions of a Dockerfile."""
    command = ["docker", "import"]
    for change in (*changes, f"LABEL {FINGERPRINT}={fingerprint}"):
        command += ["--change", change]
    with subprocess.Popen(
        [*command, "-", image], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        try:
            write(process.stdin)
        except BrokenPipeError:
            pass  # the command has ended and says why
        except BaseException:
            process.kill()
            raise
        _, said = process.communicate(timeout=_BUILD_SECONDS)
    if process.returncode:
        raise CommandFailed(command, process.returncode, said.decode(errors="replace")[-_TAIL_CHARACTERS:])


def _builder() -> dict[str, str]:
    """Choose BuildKit where its command is installed; the classic builder builds the same files."""
    found = _run(["docker", "buildx", "version"], _SHORT_SECONDS).returncode == 0
    return {**os.environ, "DOCKER_BUILDKIT": "1" if found else "0"}


def _run(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env=environment)
