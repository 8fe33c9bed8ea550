"""What can stop the work with containers; every message is one sentence that says what to do.

ContainersError
├── EngineFailed      no engine could be started, or ours does not stop
├── EngineMissing     nothing answers on the socket
├── CommandFailed     a command of the engine or of pip ended with an error
└── HostUnsuitable    an image cannot be put together from the files of this machine
"""

from collections.abc import Sequence


class ContainersError(Exception):
    """Root of everything that is raised here on purpose."""


class EngineFailed(ContainersError):
    """An engine did not start or did not end."""


class EngineMissing(ContainersError):
    """No engine answers."""

    def __init__(self) -> None:
        super().__init__("No Docker engine answers: start it, or run `make container-engine` as root.")


class CommandFailed(ContainersError):
    """A command ended with an error; `status` is its exit status."""

    def __init__(self, command: Sequence[str], status: int, tail: str) -> None:
        self.status, self.tail = status, tail
        super().__init__(f"`{' '.join(command[:3])} …` ended with status {status}; its last words: {tail}")


class HostUnsuitable(ContainersError):
    """Something on this machine is missing that a local image is made of."""
