"""Containers of our own images and of Kafka's, through testcontainers; nothing of them stays behind.

The test process removes what it made. What a killed test process left is removed by the next one: every container,
network and volume carries the number of its process. So no container that cleans up is needed.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.containers.images import Images

HOST = "127.0.0.1"
OWNER = "draftstream.test-process"
READY_SECONDS = 240
STOP_SECONDS = 45
_POLL_SECONDS = 0.1
_HOST_LISTENER = 19092
_START_SCRIPT = "/tmp/start-with-address.sh"


class KafkaContainer(DockerContainer):  # type: ignore[misc]  # testcontainers has no types that mypy follows
    """One broker that keeps the contract of the public `apache/kafka` image.

    Other containers reach it as `kafka:9092`, this machine at `bootstrap`. Without `port` the engine chooses one, and
    another one when the container is started again; with `port` it stays the same.
    """

    def __init__(self, image: str, port: int | None = None) -> None:
        super().__init__(image)
        self._port = port
        self.ports[str(_HOST_LISTENER)] = (HOST, port) if port else (HOST,)
        self.with_kwargs(labels=labels())
        self.with_envs(**_broker_settings())
        if port:
            self.with_env("KAFKA_ADVERTISED_LISTENERS", _advertised(port))
        else:
            self.with_command(["sh", "-c", f"until [ -f {_START_SCRIPT} ]; do sleep 0.05; done; . {_START_SCRIPT}"])

    def start(self) -> Self:
        """Start it and wait until it answers; raise TimeoutError."""
        super().start()
        try:
            if not self._port:
                self._tell_its_port()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self, starts: int = 1) -> None:
        """Return when the log says, for the `starts`-th time, that it is started."""
        pattern = "(?s)" + "Kafka Server started.*" * starts
        LogMessageWaitStrategy(pattern).with_startup_timeout(READY_SECONDS).wait_until_ready(self)

    @property
    def bootstrap(self) -> str:
        """Address for clients on this machine."""
        return f"{HOST}:{self._port or self.get_exposed_port(_HOST_LISTENER)}"

    def _tell_its_port(self) -> None:
        """Which port the engine has chosen is known only when the container runs; the broker waits for it."""
        address = _advertised(self.get_exposed_port(_HOST_LISTENER))
        script = f"export KAFKA_ADVERTISED_LISTENERS={address}\nexec /etc/kafka/docker/run\n"
        self.copy_into_container(script.encode(), _START_SCRIPT)


class ContainerSystem:
    """The whole system as containers of one network: Kafka, topics, keys, simulator, worker, projector, relay, API."""

    def __init__(self, images: Images) -> None:
        """Describe it; nothing runs yet."""
        self.images = images
        self.kafka = KafkaContainer(images.kafka)
        self.services: dict[str, DockerContainer] = {}
        self._keys: dict[str, str] = {}
        self._stack = contextlib.ExitStack()

    @property
    def api_url(self) -> str:
        """Address of the API."""
        return f"http://{HOST}:{self.services['api'].get_exposed_port(8000)}"

    @property
    def relay_url(self) -> str:
        """Address of the relay."""
        return f"http://{HOST}:{self.services['relay'].get_exposed_port(8001)}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._network = self._stack.enter_context(Network(docker_network_kw={"labels": labels()}))
        self._keys = {kind: self._volume(f"/keys/{kind}") for kind in ("private", "public")}
        self.kafka.with_network(self._network).with_network_aliases("kafka")
        self._stack.enter_context(self.kafka)
        self._run("deploy.topics", "--bootstrap", "kafka:9092")
        self._run("deploy.containers.keys", "/keys/private", "/keys/public", keys=("private", "public"), mode="rw")
        simulated = {"OPENAI_BASE_URL": "http://simulator:8002/v1", "OPENAI_API_KEY": "simulated"}
        simulated["MODEL_SIMULATED"] = "true"
        self._launch("simulator", {"SIMULATOR_PROFILE": "fast"})
        self._launch("worker", simulated)
        self._launch("projector", {})
        self._launch("relay", {}, port=8001, keys=("public",))
        local = {"API_RELAY_URL": self.relay_url, "API_ALLOW_LOCAL_IDENTITY_ON_NETWORK": "true"}
        self._launch("api", local | {"API_SIMULATED": "true"}, port=8000, keys=("private",))
        for service in self.services.values():
            wait_healthy(service)

    def _launch(
        self, name: str, environment: dict[str, str], port: int | None = None, keys: tuple[str, ...] = ()
    ) -> None:
        service = self._container(name, keys, "ro").with_envs(**environment)
        if port:
            service.ports[str(port)] = (HOST,)
        self.services[name] = service
        self._stack.enter_context(service)

    def _run(self, *command: str, keys: tuple[str, ...] = (), mode: str = "ro") -> None:
        """Run an init job to its end."""
        with self._container("topics", keys, mode).with_command(list(command)) as job:
            container = job.get_wrapped_container()
            status = container.wait(timeout=READY_SECONDS)["StatusCode"]
            assert status == 0, f"{command[0]} ended with {status}: {container.logs().decode()}"

    def _container(self, name: str, keys: tuple[str, ...], mode: str) -> DockerContainer:
        """Describe a container as locked up as in the composition."""
        container = DockerContainer(self.images.service(name)).with_network(self._network)
        for kind in keys:
            container.with_volume_mapping(self._keys[kind], f"/keys/{kind}", mode)
        container.tmpfs["/tmp"] = ""
        return container.with_network_aliases(name).with_kwargs(
            labels=labels(), read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges:true"]
        )

    def _volume(self, kind: str) -> str:
        client = self._stack.enter_context(engine())
        volume = client.volumes.create(f"draftstream-{secrets.token_hex(6)}", labels=labels())
        self._stack.callback(volume.remove)
        return str(volume.name)


def wait_healthy(service: DockerContainer) -> None:
    """Return when the container's own health check says so; raise AssertionError with the end of its log.

    A check that failed is no end: on a busy machine the first ones may take too long.
    """
    container = service.get_wrapped_container()
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        container.reload()
        if container.attrs["State"]["Health"]["Status"] == "healthy":
            return
        if container.status != "running":
            break
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"{service.image} is {container.status} and not well: {container.logs(tail=25).decode()}")


@contextlib.contextmanager
def engine() -> Iterator[Any]:
    """Connect to the engine, with the client that testcontainers uses."""
    client = DockerClient().client
    try:
        yield client
    finally:
        client.close()


def clean_up_alone() -> None:
    """Remove what killed test processes left, and do without the container that does so, whose image is public.

    TESTCONTAINERS_RYUK_DISABLED=false wants it nevertheless.
    """
    if "TESTCONTAINERS_RYUK_DISABLED" not in os.environ:
        testcontainers_config.ryuk_disabled = True
    remove_left_behind()


def labels() -> dict[str, str]:
    """Return what marks something as made by this test process."""
    return {OWNER: str(os.getpid())}


def remove_left_behind() -> None:
    """Remove what belongs to test processes that have ended."""
    with engine() as client:
        for container in client.containers.list(all=True, filters={"label": OWNER}):
            if _has_ended(container.labels):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters={"label": OWNER}):
            if _has_ended(network.attrs["Labels"]):
                network.remove()
        for volume in client.volumes.list(filters={"label": OWNER}):
            if _has_ended(volume.attrs["Labels"]):
                volume.remove()


def _has_ended(marks: dict[str, str]) -> bool:
    return not Path(f"/proc/{marks[OWNER]}").exists()


def made_by_this_process() -> list[Any]:
    """Return the containers, networks and volumes that this process made and has not removed."""
    mine = {"label": f"{OWNER}={os.getpid()}"}
    with engine() as client:
        found = [*client.containers.list(all=True, filters=mine), *client.networks.list(filters=mine)]
        return [*found, *client.volumes.list(filters=mine)]


def _advertised(port: int) -> str:
    return f"PLAINTEXT://kafka:9092,BROKER://localhost:9094,HOST://{HOST}:{port}"


def _broker_settings() -> dict[str, str]:
    return {
        "CLUSTER_ID": "ZHJhZnRzdHJlYW0tdGVzdA",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:9092,BROKER://:9094,HOST://:{_HOST_LISTENER},CONTROLLER://:9093",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": ",".join(
            f"{listener}:PLAINTEXT" for listener in ("PLAINTEXT", "BROKER", "HOST", "CONTROLLER")
        ),
        # The broker checks transactions with itself, so it has to reach itself by this one.
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        # A killed broker is let back in only when its old session has ended.
        "KAFKA_BROKER_SESSION_TIMEOUT_MS": "2000",
        "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
        "KAFKA_HEAP_OPTS": "-Xmx384m",
    }


def stop_in_peace(service: DockerContainer) -> tuple[int, str]:
    """Send the image's stop signal, wait for the end, and return the exit status and the end of the log.

    137 is a kill, because the grace was over.
    """
    container = service.get_wrapped_container()
    container.stop(timeout=STOP_SECONDS)
    return int(container.wait(timeout=READY_SECONDS)["StatusCode"]), container.logs(tail=25).decode()
