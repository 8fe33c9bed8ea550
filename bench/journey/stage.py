"""The stage: our whole system, or the simulator and the old service, as processes; what they cost."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.journey.processor_time import Reading, read_processor_time
from bench.journey.simulator_log import SimulatorControl
from bench.journey.travel import Travel, through_ours, through_seed
from deploy.local.ports import HOST, free_ports
from deploy.local.service import Service, ServiceSpec
from deploy.local.settings import LocalSettings
from deploy.local.system import System

_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Stage:
    """One running system."""

    travel: Travel
    simulator: SimulatorControl
    pids: Mapping[str, int]
    page_url: str = ""

    def read_processor_time(self, others: Mapping[str, int]) -> Reading:
        """Read what each process has used, and some others."""
        return read_processor_time({**self.pids, **others})


@contextlib.contextmanager
def running_system(environment: Mapping[str, str], worker_count: int = 1) -> Iterator[System]:
    """Start everything on free ports, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="draftstream-journey-") as folder:
        settings = LocalSettings.model_validate(
            {
                "run_directory": folder,
                "kafka_port": 0,
                "api_port": 0,
                "relay_port": 0,
                "simulator_port": 0,
                "worker_count": worker_count,
                "demonstration": False,
                "KAFKA_BOOTSTRAP": "",
                "OPENAI_API_KEY": "",
                "OPENAI_BASE_URL": "https://api.openai.com/v1",
            }
        )
        with System(settings, environment=dict(environment), grace_seconds=_GRACE_SECONDS) as system:
            yield system


@contextlib.contextmanager
def running_seed(simulator_url: str, thread_count: int) -> Iterator[tuple[str, Service]]:
    """Start the old service; return its address and its process."""
    (port,) = free_ports(1)
    arguments = ["--port", str(port), "--model-url", simulator_url, "--threads", str(thread_count)]
    with tempfile.TemporaryDirectory(prefix="draftstream-seed-") as folder:
        service = Service(
            ServiceSpec("seed", "bench.journey.seed", port, "a free port", arguments=arguments), Path(folder)
        )
        try:
            service.start()
            yield f"http://{HOST}:{port}", service
        finally:
            service.kill()


@contextlib.contextmanager
def running_simulator() -> Iterator[tuple[str, Service]]:
    """Start the simulator alone; return its base URL and its process."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="draftstream-simulator-") as folder:
        spec = ServiceSpec(
            "simulator",
            "deploy.model_simulator",
            port,
            "a free port",
            arguments=["--port", str(port)],
            ready_path="/healthz",
        )
        service = Service(spec, Path(folder))
        try:
            service.start()
            yield f"http://{HOST}:{port}/v1", service
        finally:
            service.kill()


def stage_of(system: System) -> Stage:
    """Return our system's stage."""
    services = {name: service.pid for name, service in system.services.items()}
    brokers = {f"kafka-{number}": broker.pid for number, broker in enumerate(system.brokers, start=1)}
    pids = {name: pid for name, pid in (services | brokers).items() if pid is not None}
    return Stage(through_ours(system.api_url), SimulatorControl(system.simulator_url), pids, system.api_url)


def seed_stage(simulator_url: str, simulator: Service, seed_url: str, seed: Service) -> Stage:
    """Return the old service's stage."""
    pids = {name: service.pid for name, service in (("simulator", simulator), ("seed", seed)) if service.pid}
    return Stage(through_seed(seed_url), SimulatorControl(simulator_url), pids)


def settle(seconds: float = 1.0) -> None:
    """Let processes that have just started come to rest: their start is not measured."""
    time.sleep(seconds)
