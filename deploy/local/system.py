"""The whole system on one machine: Kafka, topics, the model simulator, workers, projector, API, relay."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError

from contracts.topics import Topics
from deploy.local.broker import Broker
from deploy.local.cluster import Cluster
from deploy.local.errors import KafkaUnusable
from deploy.local.kafka_install import Installation, Progress, install
from deploy.local.keys import Keys, keys_in
from deploy.local.ports import HOST, free_ports, require_free
from deploy.local.service import Service, ServiceSpec
from deploy.local.settings import LocalSettings
from deploy.topics import TopicsError, ensure_topics

Told = Callable[[str, float], None]
"""Told that a step is done, and how many seconds it took."""

_PARTITION_COUNT = 12
_SLOT_COUNT = 50


@dataclass(frozen=True)
class Ports:
    """Where everything listens; 0 in the settings has become a free port."""

    kafka: int
    api: int
    relay: int
    simulator: int
    projector: int
    workers: tuple[int, ...]

    @classmethod
    def of(cls, settings: LocalSettings) -> "Ports":
        """Take the settings' ports, and free ones for the rest."""
        free = iter(free_ports(5 + settings.worker_count))
        return cls(
            settings.kafka_port or next(free),
            settings.api_port or next(free),
            settings.relay_port or next(free),
            settings.simulator_port or next(free),
            next(free),
            tuple(next(free) for _ in range(settings.worker_count)),
        )


@dataclass
class System:
    """Everything, started in order and stopped in the opposite one. From the main thread only."""

    settings: LocalSettings
    told: Told = lambda what, seconds: None
    progress: Progress = lambda what, done, total: None
    environment: dict[str, str] = field(default_factory=dict)
    """Settings of the services that differ from their defaults."""
    grace_seconds: float = 40.0
    worker_module: str = "stream_processors"
    """What runs as a worker; another one serves as a control in a measurement."""

    def __post_init__(self) -> None:
        """Choose ports and keys; nothing runs yet."""
        self.ports = Ports.of(self.settings)
        self.keys: Keys = keys_in(self.settings.run_directory / "keys")
        self._kafka: Broker | Cluster | None = None
        self.services: dict[str, Service] = {}

    @property
    def bootstrap(self) -> str:
        """Address of the broker."""
        return self._kafka.bootstrap if self._kafka else self.settings.kafka_bootstrap

    @property
    def brokers(self) -> list[Broker]:
        """The brokers that were started here."""
        match self._kafka:
            case Broker():
                return [self._kafka]
            case Cluster():
                return list(self._kafka.brokers.values())
            case None:
                return []

    @property
    def api_url(self) -> str:
        """Address of the API and the page."""
        return f"http://{HOST}:{self.ports.api}"

    @property
    def relay_url(self) -> str:
        """Address of the relay."""
        return f"http://{HOST}:{self.ports.relay}"

    @property
    def simulator_url(self) -> str:
        """Base URL of the simulator, as an OpenAI client wants it."""
        return f"http://{HOST}:{self.ports.simulator}/v1"

    @property
    def relay(self) -> Service:
        """The relay's process."""
        return self.services["relay"]

    @property
    def api(self) -> Service:
        """The API's process."""
        return self.services["api"]

    def worker(self, number: int = 1) -> Service:
        """One of the workers' processes, from 1."""
        return self.services[f"worker-{number}"]

    def start(self) -> None:
        """Start everything; when anything fails, stop what was started and raise a LocalError."""
        try:
            self._require_ports()
            if not self.settings.kafka_bootstrap:
                self._start_broker()
            with self._step("topics"):
                self._make_topics()
            with self._step("services"):
                self._start_services()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything; each has a grace, then it is killed.

        First those that work, then the simulator that they may still be listening to, Kafka last.
        """
        simulators = [service for name, service in self.services.items() if name == "simulator"]
        self._stop_services([service for service in self.services.values() if service not in simulators])
        self._stop_services(simulators)
        if self._kafka:
            self._kafka.stop()

    def _stop_services(self, services: list[Service]) -> None:
        for service in services:
            service.request_stop()
        until = time.monotonic() + self.grace_seconds
        for service in services:
            service.stop(max(0.1, until - time.monotonic()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _require_ports(self) -> None:
        """Before anything takes seconds: is every port free?"""
        own = {
            "DRAFTSTREAM_API_PORT": self.ports.api,
            "DRAFTSTREAM_RELAY_PORT": self.ports.relay,
            **({"DRAFTSTREAM_SIMULATOR_PORT": self.ports.simulator} if self.settings.simulated else {}),
            **({} if self.settings.kafka_bootstrap else {"DRAFTSTREAM_KAFKA_PORT": self.ports.kafka}),
        }
        for setting, port in own.items():
            require_free(port, setting)

    def _start_broker(self) -> None:
        with self._step("Kafka installed"):
            installation: Installation = install(self.progress)
        with self._step("Kafka"):
            self._kafka = self._kafka_of(installation)
            self._kafka.start()

    def _kafka_of(self, installation: Installation) -> Broker | Cluster:
        data = self.settings.run_directory / "kafka"
        if self.settings.broker_count > 1:
            return Cluster(data, self.settings.broker_count, installation=installation)
        setting = "DRAFTSTREAM_KAFKA_PORT"
        return Broker(data, port=self.ports.kafka, port_setting=setting, installation=installation)

    def _make_topics(self) -> None:
        topics = Topics(partition_count=_PARTITION_COUNT)
        try:
            asyncio.run(ensure_topics(self.bootstrap, topics, replication_factor=self.settings.broker_count))
        except TopicsError as error:
            raise KafkaUnusable(self.bootstrap, str(error)) from None
        except (KafkaError, OSError) as error:
            raise KafkaUnusable(self.bootstrap, type(error).__name__) from None

    def _start_services(self) -> None:
        logs = self.settings.run_directory / "logs"
        for spec in self._specs():
            chosen = replace(spec, environment={**spec.environment, **self.environment})
            self.services[spec.name] = Service(chosen, logs)
        for service in self.services.values():
            service.launch()
        for service in self.services.values():
            service.wait_ready()

    @contextlib.contextmanager
    def _step(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.told(what, time.monotonic() - began)

    def _specs(self) -> Iterator[ServiceSpec]:
        if self.settings.simulated:
            yield self._simulator()
        yield from (self._worker(number, port) for number, port in enumerate(self.ports.workers, start=1))
        yield self._projector()
        yield self._relay()
        yield self._api()

    def _shared(self, prefix: str) -> dict[str, str]:
        return {
            f"{prefix}_BOOTSTRAP": self.bootstrap,
            f"{prefix}_PARTITION_COUNT": str(_PARTITION_COUNT),
        }

    def _simulator(self) -> ServiceSpec:
        arguments = ["--port", str(self.ports.simulator), "--profile", self.settings.simulator_profile]
        return ServiceSpec(
            "simulator",
            "deploy.model_simulator",
            self.ports.simulator,
            "DRAFTSTREAM_SIMULATOR_PORT",
            arguments=arguments,
            ready_path="/healthz",
        )

    def _worker(self, number: int, port: int) -> ServiceSpec:
        environment = self._shared("WORKER") | {
            "WORKER_NAME": f"worker-{number}",
            "WORKER_INSTANCE_ID": f"worker-{number}",
            "WORKER_HEALTH_PORT": str(port),
            "WORKER_SLOTS": str(_SLOT_COUNT),
        }
        if self.settings.simulated:
            environment |= {
                "OPENAI_BASE_URL": self.simulator_url,
                "OPENAI_API_KEY": "simulated",
                "MODEL_SIMULATED": "true",
            }
        return ServiceSpec(f"worker-{number}", self.worker_module, port, "a free port", environment)

    def _projector(self) -> ServiceSpec:
        environment = self._shared("PROJECTOR") | {"PROJECTOR_HEALTH_PORT": str(self.ports.projector)}
        return ServiceSpec("projector", "stream_processors.projector", self.ports.projector, "a free port", environment)

    def _relay(self) -> ServiceSpec:
        origins = [f"http://{host}:{self.ports.api}" for host in (HOST, "localhost")]
        environment = self._shared("RELAY") | {
            "RELAY_PORT": str(self.ports.relay),
            "RELAY_TICKET_PUBLIC_KEY_FILE": str(self.keys.ticket_public),
            "RELAY_ALLOWED_ORIGINS": ",".join(origins),
        }
        return ServiceSpec("relay", "sse_relay", self.ports.relay, "DRAFTSTREAM_RELAY_PORT", environment)

    def _api(self) -> ServiceSpec:
        environment = self._shared("API") | {
            "API_PORT": str(self.ports.api),
            "API_RELAY_URL": self.relay_url,
            "API_TICKET_KEY_FILE": str(self.keys.ticket_private),
            "API_SECRET_FILE": str(self.keys.secret),
            "API_WORKER_SLOT_COUNT": str(_SLOT_COUNT * self.settings.worker_count),
            "API_SIMULATED": str(self.settings.simulated).lower(),
        }
        return ServiceSpec("api", "producer_api", self.ports.api, "DRAFTSTREAM_API_PORT", environment)
