"""Make every image the system runs from: `python -m deploy.containers.images`.

Public images are pulled where that is possible; where not, the same are made from the files of this machine. What
is there and made of the same parts is not made again.
"""

import hashlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.containers import kafka_image, python_image
from deploy.containers.docker_client import build, fingerprint_of, import_image, pull, require_engine
from deploy.containers.errors import ContainersError, HostUnsuitable
from deploy.containers.settings import ImageSettings
from deploy.containers.wheels import fetch_wheels
from deploy.local.errors import LocalError
from deploy.local.kafka_install import install

Told = Callable[[str], None]
"""Told what was done, in one line."""

SERVICES = ("topics", "simulator", "worker", "projector", "relay", "api")
_ROOT = Path(__file__).resolve().parents[2]
_BUILT_FROM = ("contracts", "producer_api", "stream_processors", "student_records", "sse_relay", "web", "deploy")
_UNTRACKED = {"__pycache__", "tests"}


@dataclass(frozen=True, slots=True)
class Images:
    """Names of images that the engine has."""

    kafka: str
    python: str
    prefix: str

    def service(self, name: str) -> str:
        """Return the image of one of our services."""
        return f"{self.prefix}/{name}"

    @property
    def environment(self) -> dict[str, str]:
        """The names as the composition and the Dockerfile want them."""
        return {"KAFKA_IMAGE": self.kafka, "PYTHON_IMAGE": self.python, "DRAFTSTREAM_IMAGE_PREFIX": self.prefix}


def make_kafka(settings: ImageSettings, told: Told = lambda what: None) -> str:
    """Return the name of a Kafka image that the engine has; raise a ContainersError or a LocalError."""
    require_engine()
    if name := _present(settings.kafka_image, settings.public_kafka, "KAFKA_IMAGE"):
        return name
    installation = install()
    made_of = kafka_image.fingerprint(installation)
    if fingerprint_of(settings.local_kafka) == made_of:
        return settings.local_kafka
    return _public_or_made(
        settings.public_kafka,
        settings.local_kafka,
        lambda: import_image(
            settings.local_kafka,
            lambda output: kafka_image.write_kafka(installation, output),
            kafka_image.CHANGES,
            made_of,
        ),
        told,
    )


def make_python(settings: ImageSettings, told: Told = lambda what: None) -> str:
    """Return the name of a Python image that the engine has; raise a ContainersError."""
    require_engine()
    if name := _present(settings.python_image, settings.public_python, "PYTHON_IMAGE"):
        return name
    made_of = python_image.fingerprint()
    if fingerprint_of(settings.local_python) == made_of:
        return settings.local_python
    return _public_or_made(
        settings.public_python,
        settings.local_python,
        lambda: import_image(settings.local_python, python_image.write_python, python_image.CHANGES, made_of),
        told,
    )


def make_images(settings: ImageSettings, told: Told = lambda what: None) -> Images:
    """Return the names of all images, after making those that are missing or old; raise as the others do."""
    images = Images(make_kafka(settings, told), make_python(settings, told), settings.image_prefix)
    with _step("packages fetched and their hashes compared", told) as step:
        step.done = fetch_wheels(_ROOT / "requirements" / "runtime.txt", _ROOT / ".run" / "wheels")
    made_of = _fingerprint(images.python)
    for service in SERVICES:
        image = images.service(service)
        if fingerprint_of(image) != made_of:
            with _step(f"{image} built", told) as step:
                build(image, _ROOT, service, {"PYTHON_IMAGE": images.python}, made_of)
                step.done = True
    return images


def _present(chosen: str, public: str, setting: str) -> str | None:
    """Return the image that was chosen, or the public one, if the engine has it or, when chosen, can get it."""
    if chosen:
        if fingerprint_of(chosen) is None and not pull(chosen):
            raise HostUnsuitable(f"The image {chosen} is not here and cannot be pulled: set {setting} to another one.")
        return chosen
    return public if fingerprint_of(public) is not None else None


def _public_or_made(public: str, local: str, make: Callable[[], None], told: Told) -> str:
    with _step(f"{public} pulled", told) as step:
        step.done = pull(public)
    if step.done:
        return public
    with _step(f"{local} made from the files of this machine, since {public} cannot be pulled", told) as step:
        make()
        step.done = True
    return local


def _fingerprint(python: str) -> str:
    """Return what changes when any file does that a service's image may hold, or what it is built on."""
    digest = hashlib.sha256(f"{python} {fingerprint_of(python)}".encode())
    for path in _sources():
        digest.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    yield from (_ROOT / name for name in ("Dockerfile", ".dockerignore", "requirements/runtime.txt"))
    for folder in _BUILT_FROM:
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.is_file() and not _UNTRACKED & set(path.parts):
                yield path


class _step:  # noqa: N801 - reads as a statement
    """Say what was done and how long it took, if anything was done."""

    def __init__(self, what: str, told: Told) -> None:
        self._what, self._told, self._began = what, told, 0.0
        self.done = False

    def __enter__(self) -> "_step":
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self.done:
            self._told(f"{self._what} in {time.monotonic() - self._began:.1f} s")


def main() -> int:
    """Make all images; exit status 1 with one sentence when it cannot be done."""
    try:
        images = make_images(ImageSettings(), lambda what: print(f"  {what}", flush=True))
    except (ContainersError, LocalError) as error:
        print(error, file=sys.stderr)
        return 1
    print("images are ready: " + " ".join(f"{name}={shlex.quote(value)}" for name, value in images.environment.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
