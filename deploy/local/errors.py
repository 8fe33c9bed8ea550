"""What can stop the system on one machine; every message is one sentence that says what to do.

LocalError
├── AlreadyRunning       the whole system runs from this folder
├── ModelRefused         the model's server does not take the key
├── ModelUnreachable     the model's server does not answer
├── KafkaUnusable        the topics could not be made or are other than declared
├── ServiceFailed
│   ├── ServiceDied      one of our services ended by itself
│   └── ServiceSilent    it runs and is not ready
├── JavaMissing          no runtime to start the broker with
├── InstallFailed        the cache could not be filled
│   ├── InstallerMissing
│   ├── NetworkUnreachable
│   ├── DownloadFailed
│   ├── HashMismatch
│   └── CacheUnusable
├── PortTaken            another program listens there
├── DataInUse            another broker owns the data directory
└── BrokerFailed
    ├── BrokerDied       it ended by itself
    └── BrokerSilent     it runs and does not answer
"""

from pathlib import Path


class LocalError(Exception):
    """Root of everything that is raised here on purpose."""


class JavaMissing(LocalError):
    """No Java was found."""

    def __init__(self) -> None:
        super().__init__(
            "There is no Java to run Kafka with: install the project's `local` extra (it brings one), "
            "or set DRAFTSTREAM_JAVA to the `java` of a runtime of version 17 or newer."
        )


class InstallFailed(LocalError):
    """Kafka could not be installed into the cache."""


class InstallerMissing(InstallFailed):
    """The package that fetches jars is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "The first start downloads Kafka with a package that is missing here: install the project's "
            "`local` extra, or set KAFKA_BOOTSTRAP to a broker that already runs."
        )


class NetworkUnreachable(InstallFailed):
    """The jars' host did not answer."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"The first start downloads Kafka and could not reach the repository ({what}): connect to the "
            "network (HTTPS_PROXY is respected, DRAFTSTREAM_MAVEN_URL names a mirror) and start again, "
            "or set KAFKA_BOOTSTRAP to a broker that already runs."
        )


class DownloadFailed(InstallFailed):
    """The jars' host answered and did not hand over a jar."""

    def __init__(self, coordinate: str, reason: str) -> None:
        self.coordinate, self.reason = coordinate, reason
        super().__init__(
            f"The repository did not hand over {coordinate} ({reason}): start again, "
            "or set DRAFTSTREAM_MAVEN_URL to a mirror that has it."
        )


class HashMismatch(InstallFailed):
    """A jar that was fetched is not the pinned one."""

    def __init__(self, coordinate: str, expected: str, actual: str) -> None:
        self.coordinate, self.expected, self.actual = coordinate, expected, actual
        super().__init__(
            f"What was downloaded as {coordinate} has the SHA-256 {actual} instead of {expected} and was "
            "thrown away: something between here and the repository changes files, so try another network."
        )


class CacheUnusable(InstallFailed):
    """The cache directory cannot be written, or another install holds it for too long."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"The cache directory {path} cannot be used ({reason}): "
            "make room there, or set DRAFTSTREAM_CACHE to another directory."
        )


class PortTaken(LocalError):
    """A fixed port is not free."""

    def __init__(self, port: int, setting: str) -> None:
        self.port, self.setting = port, setting
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program: stop that program, "
            f"or choose another port with {setting}."
        )


class DataInUse(LocalError):
    """A broker runs on the data directory."""

    def __init__(self, path: Path, owner: str) -> None:
        self.path, self.owner = path, owner
        super().__init__(f"The data directory {path} is in use by {owner}: stop that one, or choose another directory.")


class BrokerFailed(LocalError):
    """The broker's process did not do what was asked of it."""


class BrokerDied(BrokerFailed):
    """The broker ended by itself; `status` is its exit status, negative for a signal."""

    def __init__(self, status: int, log: Path, tail: str) -> None:
        self.status, self.log, self.tail = status, log, tail
        super().__init__(
            f"Kafka ended with status {status}; mend what the end of its log {log} names and start again:\n{tail}"
        )


class BrokerSilent(BrokerFailed):
    """The broker runs and did not answer in time."""

    def __init__(self, bootstrap: str, seconds: float, log: Path, tail: str) -> None:
        self.bootstrap, self.seconds, self.log, self.tail = bootstrap, seconds, log, tail
        super().__init__(
            f"Kafka at {bootstrap} did not answer within {seconds:g} s; "
            f"see the end of its log {log} and start again:\n{tail}"
        )


class AlreadyRunning(LocalError):
    """The system runs from this folder."""

    def __init__(self, owner: str) -> None:
        super().__init__(
            f"Draftstream already runs from this folder ({owner}): use it, or stop it with Ctrl-C where it was started."
        )


class ModelRefused(LocalError):
    """The model's server answered that the key is not good."""

    def __init__(self, base_url: str, status: int) -> None:
        self.base_url, self.status = base_url, status
        super().__init__(
            f"{base_url} refused OPENAI_API_KEY (HTTP {status}): set the right key, "
            "or unset OPENAI_API_KEY and OPENAI_BASE_URL to use the simulator instead."
        )


class ModelUnreachable(LocalError):
    """The model's server could not be asked."""

    def __init__(self, base_url: str, reason: str) -> None:
        self.base_url = base_url
        super().__init__(
            f"{base_url} does not answer ({reason}): check the network and OPENAI_BASE_URL, "
            "or unset OPENAI_API_KEY and OPENAI_BASE_URL to use the simulator instead."
        )


class KafkaUnusable(LocalError):
    """The topics could not be made, or are other than declared; `reason` says why."""

    def __init__(self, bootstrap: str, reason: str) -> None:
        self.bootstrap, self.reason = bootstrap, reason
        super().__init__(f"Kafka at {bootstrap} cannot be used ({reason}): check KAFKA_BOOTSTRAP and start again.")


class ServiceFailed(LocalError):
    """One of our services did not do what was asked of it."""


class ServiceDied(ServiceFailed):
    """A service ended by itself; `status` is its exit status, negative for a signal."""

    def __init__(self, name: str, status: int, log: Path, tail: str) -> None:
        self.name, self.status, self.log, self.tail = name, status, log, tail
        super().__init__(f"The {name} ended with status {status}; mend what the end of its log {log} names:\n{tail}")


class ServiceSilent(ServiceFailed):
    """A service runs and did not become ready in time."""

    def __init__(self, name: str, seconds: float, log: Path, tail: str) -> None:
        self.name, self.seconds, self.log, self.tail = name, seconds, log, tail
        super().__init__(f"The {name} was not ready within {seconds:g} s; see the end of its log {log}:\n{tail}")
