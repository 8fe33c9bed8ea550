"""The settings file of one broker, as text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.ports import HOST

MIB, GIB = 1 << 20, 1 << 30
MINUTE_MS, DAY_MS = 60_000, 86_400_000


@dataclass(frozen=True)
class Node:
    """One broker's place in its cluster: every node is broker and controller at once."""

    id: int
    port: int
    controller_ports: Mapping[int, int] = field(hash=False)
    """Controller port of every node of the cluster, by node id."""

    @property
    def bootstrap(self) -> str:
        """Address that clients connect to."""
        return f"{HOST}:{self.port}"

    @property
    def replicas(self) -> int:
        """How many copies of each partition this cluster can hold, three at most."""
        return min(3, len(self.controller_ports))


def server_properties(node: Node, log_dir: Path, extra: Mapping[str, str] | None = None) -> str:
    """Return the text of a broker's properties file; `extra` wins over what is chosen here."""
    chosen: dict[str, object] = {
        **_identity(node, log_dir),
        **_replication(node.replicas),
        **_timing(alone=node.replicas == 1),
        **_footprint(),
        **(extra or {}),
    }
    return "".join(f"{key}={value}\n" for key, value in chosen.items())


def _identity(node: Node, log_dir: Path) -> dict[str, object]:
    voters = node.controller_ports
    return {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "log.dirs": log_dir,
        "listeners": f"PLAINTEXT://{node.bootstrap},CONTROLLER://{HOST}:{voters[node.id]}",
        "advertised.listeners": f"PLAINTEXT://{node.bootstrap}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(f"{id_}@{HOST}:{port}" for id_, port in voters.items()),
        "auto.create.topics.enable": "false",
    }


def _replication(replicas: int) -> dict[str, object]:
    in_sync = min(2, replicas)
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _timing(*, alone: bool) -> dict[str, object]:
    return {
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker is let back in only when its old session has ended.
        "broker.session.timeout.ms": 2_000 if alone else 4_000,
        "broker.heartbeat.interval.ms": 500,
    }


def _footprint() -> dict[str, object]:
    """Bound memory, threads and disk; how long records live is for each topic to say."""
    return {
        "num.partitions": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.num.partitions": 4,
        "background.threads": 4,
        "num.io.threads": 4,
        "num.network.threads": 2,
        "log.cleaner.dedupe.buffer.size": 8 * MIB,
        "log.index.size.max.bytes": MIB,
        "log.segment.bytes": 64 * MIB,
        "log.roll.ms": DAY_MS // 4,
        "log.retention.ms": 7 * DAY_MS,
        "log.retention.bytes": GIB,
        "log.retention.check.interval.ms": MINUTE_MS,
        "offsets.topic.segment.bytes": 8 * MIB,
        "transaction.state.log.segment.bytes": 8 * MIB,
        "share.coordinator.state.topic.segment.bytes": 8 * MIB,
        "metadata.log.segment.bytes": 8 * MIB,
        "metadata.max.retention.bytes": 32 * MIB,
    }
