"""Several brokers as child processes that replicate to each other."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.broker import GRACE_SECONDS, READY_SECONDS, Broker
from deploy.local.data_directory import new_id
from deploy.local.kafka_install import Installation
from deploy.local.ports import free_ports
from deploy.local.server_properties import Node


class Cluster:
    """Brokers 1 to `size`, each with its own data directory: three copies, two of them in sync for `acks=all`.

    Start it from the main thread. As a context manager it starts on entry and stops on exit.
    A new cluster wants a new directory: its ports and its id are chosen here.
    """

    def __init__(
        self,
        data: Path,
        size: int = 3,
        *,
        heap_mb: int = 192,
        installation: Installation | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a cluster; nothing runs yet."""
        ports = free_ports(2 * size)
        controllers = {id_: ports[size + id_ - 1] for id_ in range(1, size + 1)}
        cluster_id = new_id()
        self.brokers: dict[int, Broker] = {
            id_: Broker(
                data / str(id_),
                heap_mb=heap_mb,
                installation=installation,
                properties=properties,
                node=Node(id_, ports[id_ - 1], controllers),
                cluster_id=cluster_id,
            )
            for id_ in controllers
        }

    @property
    def bootstrap(self) -> str:
        """Addresses that clients connect to, separated by commas."""
        return ",".join(broker.bootstrap for broker in self.brokers.values())

    def start(self, timeout_seconds: float = READY_SECONDS) -> str:
        """Start every broker that does not run, wait until all answer, and return the bootstrap addresses."""
        try:
            for broker in self.brokers.values():
                broker.launch()
            for broker in self.brokers.values():
                broker.wait_ready(timeout_seconds)
        except BaseException:
            self.kill()
            raise
        return self.bootstrap

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask all at once, then wait: one after the other, the last ones would have no majority to leave."""
        for broker in self.brokers.values():
            if broker.pid is not None:
                broker.resume()
                broker.request_stop()
        for broker in self.brokers.values():
            broker.stop(grace_seconds)

    def kill(self) -> None:
        """End all at once (SIGKILL)."""
        for broker in self.brokers.values():
            broker.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
