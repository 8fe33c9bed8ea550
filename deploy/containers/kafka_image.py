"""A Kafka image without a registry: the pinned jars, the Java that came as a wheel, and this machine's C library.

It keeps the contract of the public `apache/kafka` image – command, `CLUSTER_ID`, `KAFKA_*`, mounted configuration,
user, paths – since the code that reads those settings is a class inside Kafka's own jars.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from deploy.containers.errors import HostUnsuitable
from deploy.containers.root_filesystem import RootFilesystem, is_loadable
from deploy.local.kafka_install import Installation
from deploy.local.kafka_lock import LOCK, parse_lock
from deploy.local.server_properties import Node, server_properties

JAVA = "/opt/java"
USER_ID = 1000
CHANGES = (
    f"ENV PATH={JAVA}/bin:/opt/kafka/bin:/usr/bin:/bin JAVA_HOME={JAVA} LANG=C.UTF-8",
    "EXPOSE 9092",
    "USER appuser",
    'CMD ["/etc/kafka/docker/run"]',
)
_DESKTOP = ("libawt", "libmlib", "libfreetype", "libfontmanager", "liblcms", "libjsound", "libsplash", "libjavajpeg")
# A container that was killed and is started again has its records: "already formatted" is then no error.
_RUN = """\
#!/bin/sh
export CLUSTER_ID="${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}"
said=$(java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' \\
  kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \\
  --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
  case "$said" in *"already formatted"*) ;; *) echo "$said" >&2; exit 1 ;; esac
exec /opt/kafka/bin/kafka-server-start.sh /opt/kafka/config/server.properties
"""
_RUN_CLASS = """\
#!/bin/sh
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1} \\
  --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow $KAFKA_OPTS \\
  ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml} -cp '/opt/kafka/libs/*' "$@"
"""
_SCRIPTS = {"kafka-server-start.sh": "kafka.Kafka", "kafka-storage.sh": "kafka.tools.StorageTool"}
_LOG4J2 = """\
Configuration:
  Appenders: {Console: {name: STDOUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}}
  Loggers: {Root: {level: INFO, AppenderRef: [{ref: STDOUT}]}}
"""


def kafka_version() -> str:
    """Return the version of the pinned Kafka."""
    return next(pin.version for pin in parse_lock(LOCK.read_text()) if pin.artifact == "kafka_2.13")


def fingerprint(installation: Installation) -> str:
    """Return what changes when the image would be another one."""
    made_of = f"{LOCK.read_text()}{installation.java.fingerprint}{Path(__file__).read_text()}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]


def write_kafka(installation: Installation, output: IO[bytes]) -> None:
    """Write the image's files as a tar stream; raise HostUnsuitable when this machine lacks a part."""
    java_home = installation.java.executable.resolve().parents[1]
    programs = {name: _require(name) for name in ("bash", "busybox")}
    files = RootFilesystem(output)
    files.add_accounts(appuser=USER_ID)
    files.add_shell(programs["busybox"])
    files.add_file(programs["bash"], "/bin/bash")  # the public image has it too: health checks use /dev/tcp
    files.add_tree(java_home, JAVA, _is_needed)
    files.add_libraries([programs["bash"], *_loadable(java_home)], own=java_home)
    files.add_link("/usr/bin/java", f"{JAVA}/bin/java")
    for jar in installation.jars:
        files.add_file(jar, f"/opt/kafka/libs/{jar.name}")
    _add_configuration(files)
    files.close()


def _add_configuration(files: RootFilesystem) -> None:
    for folder in ("/opt/kafka/config", "/mnt/shared/config", "/var/lib/kafka/data", "/etc/kafka/secrets"):
        files.add_folder(folder, owner=USER_ID)
    files.add_text("/etc/kafka/docker/run", _RUN, mode=0o755)
    files.add_text("/opt/kafka/bin/kafka-run-class.sh", _RUN_CLASS, mode=0o755)
    for script, main in _SCRIPTS.items():
        text = f'#!/bin/sh\nexec /opt/kafka/bin/kafka-run-class.sh {main} "$@"\n'
        files.add_text(f"/opt/kafka/bin/{script}", text, mode=0o755)
    listeners = {"listeners": "PLAINTEXT://:9092,CONTROLLER://:9093"}
    listeners["advertised.listeners"] = "PLAINTEXT://localhost:9092"
    settings = server_properties(Node(1, 9092, {1: 9093}), Path("/var/lib/kafka/data"), listeners)
    files.add_text("/etc/kafka/docker/server.properties", settings)
    for name in ("log4j2.yaml", "tools-log4j2.yaml"):
        files.add_text(f"/etc/kafka/docker/{name}", _LOG4J2)


def _is_needed(path: PurePosixPath) -> bool:
    return not path.name.startswith(_DESKTOP)


def _loadable(java_home: Path) -> Iterator[Path]:
    for file in java_home.rglob("*"):
        if file.is_file() and _is_needed(PurePosixPath(file.relative_to(java_home))) and is_loadable(file):
            yield file


def _require(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise HostUnsuitable(f"The local Kafka image needs {name}: run `make system-packages`, or set KAFKA_IMAGE.")
    return Path(found)
