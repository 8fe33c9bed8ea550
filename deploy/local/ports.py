"""Loopback ports for processes that are started and restarted on this machine."""

import random
import socket
from pathlib import Path

from deploy.local.errors import PortTaken

HOST = "127.0.0.1"
LOWEST = 15_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES_PER_PORT = 200


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nothing listens on.

    They lie below the range the kernel hands to outgoing connections: otherwise a client that keeps knocking
    while the broker is down can be given the broker's own port, and the broker cannot come back.
    """
    ports: set[int] = set()
    highest = _first_ephemeral_port() - 1
    for _ in range(count * _TRIES_PER_PORT):
        if len(ports) == count:
            break
        port = random.randint(LOWEST, highest)  # noqa: S311 - a choice, not a secret
        if is_free(port):
            ports.add(port)
    if len(ports) < count:
        raise OSError(f"no {count} free ports between {LOWEST} and {highest}")
    return list(ports)


def is_free(port: int) -> bool:
    """Tell whether nothing listens on a loopback port."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def require_free(port: int, setting: str) -> None:
    """Raise PortTaken, naming the setting that moves it, if something listens on the port."""
    if not is_free(port):
        raise PortTaken(port, setting)


def _first_ephemeral_port() -> int:
    try:
        first = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:  # not Linux: the range that IANA assigns
        first = 49_152
    return max(first, LOWEST + 2_000)
