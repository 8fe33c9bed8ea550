"""Kafka's jars, a formatted template and an ahead-of-time cache for Java, made once per machine.

Everything lies in one directory of the cache, named after the lock file and the Java it is for. The file
`complete` is written last: without it nothing there is trusted, and the next install goes on from what it finds.
The jars are hashed at every use.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.data_directory import DataDirectory, new_id
from deploy.local.errors import (
    BrokerDied,
    CacheUnusable,
    DownloadFailed,
    HashMismatch,
    InstallerMissing,
    NetworkUnreachable,
)
from deploy.local.java import Java, find_java
from deploy.local.kafka_lock import LOCK, Pin, parse_lock, sha256_of
from deploy.local.kafka_process import KafkaProcess
from deploy.local.ports import free_ports
from deploy.local.server_properties import Node, server_properties

Progress = Callable[[str, int, int], None]
"""Told what is being done (`jars`, `format`, `training`), how much of it is done, and how much there is."""

Fetch = Callable[[Pin, Path], None]
"""Writes the jar of a pin to a path; raises an InstallFailed."""

_LAYOUT = "1"  # raise it when what an install writes changes
_LOG4J = """\
status=error
appender.file.type=RollingFile
appender.file.name=FILE
appender.file.fileName=${sys:broker.log}
appender.file.filePattern=${sys:broker.log}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %c{1} %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=4MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=1
rootLogger.level=warn
rootLogger.appenderRef.file.ref=FILE
"""
_FETCHES_AT_ONCE = 8
_FETCH_TRIES = 3
_RETRY_SECONDS = 0.5
_HTTP_SECONDS = 20
_FORMAT_SECONDS = 120
_TRAINING_SECONDS = 180.0
_OTHER_INSTALL_SECONDS = 600.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Installation:
    """A Kafka that can be started."""

    home: Path
    java: Java
    jars: tuple[Path, ...]

    @property
    def template(self) -> Path:
        """A formatted, empty log directory."""
        return self.home / "template"

    @property
    def ahead_of_time_cache(self) -> Path:
        """What Java learned in a first run; Java does without it where it does not fit."""
        return self.home / "kafka.aot"

    def command(
        self, main: str, *arguments: str, log: Path, heap_mb: int = 256, flags: Sequence[str] = ()
    ) -> list[str]:
        """Return the command line that runs a class of the jars; `log` is where it logs."""
        if not flags and self.ahead_of_time_cache.exists():
            flags = [f"-XX:AOTCache={self.ahead_of_time_cache}"]
        return [
            str(self.java.executable),
            f"-Xmx{heap_mb}m",
            *flags,
            *self.java.flags,
            f"-Dbroker.log={log}",
            f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}",
            "-cp",
            ":".join(map(str, self.jars)),
            main,
            *arguments,
        ]

    def broker_command(self, directory: DataDirectory, heap_mb: int, flags: Sequence[str] = ()) -> list[str]:
        """Return the command line of a broker on a data directory that holds its settings."""
        settings = str(directory.properties)
        return self.command("kafka.Kafka", settings, log=directory.log, heap_mb=heap_mb, flags=flags)


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return DRAFTSTREAM_CACHE, else the project's folder in the user's cache (XDG)."""
    if chosen := environ.get("DRAFTSTREAM_CACHE"):
        return Path(chosen).expanduser().absolute()
    # The XDG specification wants a relative path to be ignored.
    shared = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "draftstream"


def maven_fetch(environ: Mapping[str, str] = os.environ) -> Fetch:
    """Return what fetches from Maven's central repository, or from the mirror DRAFTSTREAM_MAVEN_URL."""
    mirror = environ.get("DRAFTSTREAM_MAVEN_URL")

    def fetch(pin: Pin, target: Path) -> None:
        try:
            import requests
            from jgo.maven import MavenContext
        except ImportError:
            raise InstallerMissing from None
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            context = MavenContext(
                repo_cache=Path(folder),
                remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
                timeout=_HTTP_SECONDS,
            )
            component = context.project(pin.group, pin.artifact).at_version(pin.version)
            try:
                found = component.artifact().resolve()
            except (requests.ConnectionError, requests.Timeout) as error:
                raise NetworkUnreachable(type(error).__name__) from error
            except (requests.RequestException, RuntimeError) as error:
                raise DownloadFailed(pin.coordinate, type(error).__name__) from error
            Path(found).replace(target)

    return fetch


def install(
    progress: Progress = lambda what, done, total: None,
    *,
    cache: Path | None = None,
    java: Java | None = None,
    fetch: Fetch | None = None,
    lock: str | None = None,
) -> Installation:
    """Return the installed Kafka, after installing what is missing; from the main thread.

    Raises JavaMissing or an InstallFailed; BrokerFailed if the installed Kafka does not run here.
    A finished install takes no network and about 0.1 s.
    """
    java = java or find_java()
    lock = lock if lock is not None else LOCK.read_text()
    cache = cache or cache_directory()
    pins = parse_lock(lock)
    name = hashlib.sha256(f"{_LAYOUT}\n{java.fingerprint}\n{lock}".encode()).hexdigest()[:16]
    home = cache / "kafka" / name
    installation = Installation(home, java, tuple(home / "lib" / pin.jar for pin in pins))
    if is_complete(installation, pins):
        return installation
    try:
        with _alone(home):
            if not is_complete(installation, pins):
                _complete(installation, pins, fetch or maven_fetch(), progress)
    except OSError as error:
        raise CacheUnusable(home, error.strerror or type(error).__name__) from error
    return installation


def is_complete(installation: Installation, pins: Sequence[Pin]) -> bool:
    """Tell whether an install was finished and every jar is still the pinned one."""
    if not (installation.home / "complete").exists():
        return False
    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
        return all(pool.map(_is_pinned, pins, installation.jars))


def fetch_jars(pins: Sequence[Pin], lib: Path, fetch: Fetch, progress: Progress) -> None:
    """Fetch every jar that is not there yet; each appears under its name only after its hash was compared."""
    incoming = lib / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    pool = ThreadPoolExecutor(_FETCHES_AT_ONCE)
    try:
        jobs = [pool.submit(_fetch_pinned, pin, lib / pin.jar, incoming / pin.jar, fetch) for pin in pins]
        progress("jars", 0, len(pins))
        for done, job in enumerate(as_completed(jobs), start=1):
            job.result()
            progress("jars", done, len(pins))
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(incoming, ignore_errors=True)


def _fetch_pinned(pin: Pin, target: Path, incoming: Path, fetch: Fetch) -> None:
    if _is_pinned(pin, target):
        return
    actual = ""
    for attempt in range(1, _FETCH_TRIES + 1):
        try:
            fetch(pin, incoming)
        except NetworkUnreachable:
            if attempt == _FETCH_TRIES:
                raise
            time.sleep(_RETRY_SECONDS * attempt)
            continue
        actual = sha256_of(incoming)
        if actual == pin.sha256:
            incoming.replace(target)
            return
        incoming.unlink()
    raise HashMismatch(pin.coordinate, pin.sha256, actual)


def _is_pinned(pin: Pin, jar: Path) -> bool:
    return jar.exists() and sha256_of(jar) == pin.sha256


def _complete(installation: Installation, pins: Sequence[Pin], fetch: Fetch, progress: Progress) -> None:
    home = installation.home
    # A jar that has to be replaced makes what was trained on the old one useless.
    (home / "complete").unlink(missing_ok=True)
    installation.ahead_of_time_cache.unlink(missing_ok=True)
    fetch_jars(pins, home / "lib", fetch, progress)
    (home / "log4j2.properties").write_text(_LOG4J)
    work = home / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    progress("format", 0, 1)
    _format_template(installation, work)
    progress("format", 1, 1)
    if installation.java.caches_ahead:
        progress("training", 0, 1)
        _train(installation, work)
        progress("training", 1, 1)
    shutil.rmtree(work)
    (home / "complete").touch()


def _format_template(installation: Installation, work: Path) -> None:
    if installation.template.exists():
        return
    formatted, settings = work / "template", work / "format.properties"
    settings.write_text(server_properties(Node(1, 1, {1: 2}), formatted))
    command = installation.command(
        "kafka.tools.StorageTool", "format", "-t", new_id(), "-c", str(settings), log=work / "format.log"
    )
    log = work / "format.log"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FORMAT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BrokerDied(-signal.SIGKILL, log, f"formatting took more than {_FORMAT_SECONDS} s") from None
    if done.returncode:
        raise BrokerDied(done.returncode, log, (done.stdout + done.stderr)[-2_000:])
    formatted.replace(installation.template)


def _train(installation: Installation, work: Path) -> None:
    """Run a broker once so that Java writes down, as it exits, what it loaded and compiled."""
    cache = work / "kafka.aot"
    port, controller_port = free_ports(2)
    directory = DataDirectory(work / "broker")
    directory.claim()
    try:
        directory.format(installation.template, 1)
        directory.properties.write_text(server_properties(Node(1, port, {1: controller_port}), directory.records))
        flags = [f"-XX:AOTCacheOutput={cache}"]
        process = KafkaProcess(installation.broker_command(directory, 256, flags), directory, port)
        try:
            process.wait_ready(_TRAINING_SECONDS)
            process.stop(_TRAINING_SECONDS)
        except BaseException:
            process.kill()
            raise
    finally:
        directory.release()
    if cache.exists():
        cache.replace(installation.ahead_of_time_cache)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + _OTHER_INSTALL_SECONDS
    with (home / "install.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise CacheUnusable(home, "another install does not end") from None
            time.sleep(_POLL_SECONDS)
        yield
