"""The pinned jars of Kafka: `kafka.lock` has one line `group:artifact:version sha256` for each.

Maintainers write it anew with `python -m deploy.local.kafka_lock 4.3.0`.
"""

import argparse
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("kafka.lock")
_LINE = re.compile(r"([\w.-]+):([\w.-]+):([\w.-]+) ([0-9a-f]{64})")


@dataclass(frozen=True, order=True)
class Pin:
    """One jar: where it comes from and what it must hash to."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        """Maven's name of it."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def jar(self) -> str:
        """Its file name."""
        return f"{self.artifact}-{self.version}.jar"


def parse_lock(text: str) -> tuple[Pin, ...]:
    """Return the pins of a lock file; ValueError names the first line that is not one, or a doubled jar."""
    pins: dict[str, Pin] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if not found:
            raise ValueError(f"line {number} is not `group:artifact:version sha256`")
        pin = Pin(*found.groups())
        if pin.jar in pins:
            raise ValueError(f"line {number} repeats {pin.jar}")
        pins[pin.jar] = pin
    return tuple(pins.values())


def lock_text(pins: Iterable[Pin]) -> str:
    """Return pins as the text of a lock file, sorted."""
    return "".join(f"{pin.coordinate} {pin.sha256}\n" for pin in sorted(pins))


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve(kafka_version: str) -> list[Pin]:
    """Ask Maven for everything that a broker of this version needs, with logging, and hash it.

    Each root is resolved alone: together, one root's managed versions silently replace the other's.
    """
    import jgo
    from jgo.maven import MavenContext

    jars = {(jar.groupId, jar.artifactId): jar for jar in jgo.resolve(f"org.apache.kafka:kafka_2.13:{kafka_version}")}
    if jars["org.apache.kafka", "kafka-clients"].version != kafka_version:
        raise ValueError("the resolver mixed versions of Kafka")
    # Without this binding the broker never logs a line.
    logging = ("org.apache.logging.log4j", "log4j-slf4j-impl")
    core = jars["org.apache.logging.log4j", "log4j-core"]
    jars[logging] = MavenContext().project(*logging).at_version(core.version).artifact()
    return [Pin(jar.groupId, jar.artifactId, jar.version, sha256_of(Path(jar.resolve()))) for jar in jars.values()]


def main() -> None:
    """Write the lock file for the version that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.kafka_lock", description=main.__doc__)
    parser.add_argument("version", help="Kafka's version, as 4.3.0")
    LOCK.write_text(lock_text(resolve(parser.parse_args().version)))


if __name__ == "__main__":
    main()
