"""Apply a schedule of faults to a running system, and make each good when its time is over. From the main thread."""

import heapq
import itertools
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.local.broker import Broker
from deploy.local.service import Service
from deploy.local.system import System
from tests.chaos.drafts import Disturbances
from tests.chaos.schedule import Fault, FaultKind

_STORM_PAUSE_SECONDS = 1.5
_BROKER_SECONDS = 10.0
"""A broker that was started again takes records after so long, at most."""
_JOIN_SECONDS = 5.0
"""A worker that was started again has its partitions after some such time; then others let go of them."""
WORKER_FAULTS = frozenset({FaultKind.KILL_WORKER, FaultKind.TERM_WORKER, FaultKind.PAUSE_WORKER})
"""Those of one moment; a storm has as many as it has kills."""


@dataclass(order=True)
class _Due:
    at: float
    order: int
    act: Callable[[], None] = field(compare=False)


class Injector:
    """Faults that overlap on one target are left out: a process can only be killed while it lives."""

    def __init__(self, system: System, say: Callable[[str], None]) -> None:
        self._system = system
        self._say = say
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._busy: set[object] = set()
        self.applied: list[tuple[float, Fault]] = []
        self.disturbances = Disturbances()
        self.deaths: list[str] = []

    def plan(self, faults: tuple[Fault, ...], start: float) -> None:
        for fault in faults:
            self._later(start + fault.at_seconds, lambda fault=fault: self._apply(fault))  # type: ignore[misc]

    @property
    def idle(self) -> bool:
        """Whether every fault is over and made good."""
        return not self._due and not self._busy

    def step(self) -> None:
        """Do everything that is due."""
        now = time.monotonic()
        while self._due and self._due[0].at <= now:
            heapq.heappop(self._due).act()
        for name, service in self._system.services.items():
            if service not in self._busy and service.exit_status is not None:
                self.deaths.append(f"{name}: status {service.exit_status}")
                if name.startswith("worker"):
                    self.disturbances.moments.append(time.time())
                self._say(f"{name} ended by itself with status {service.exit_status}")
                service.launch()

    def _later(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, _Due(at, next(self._order), act))

    def _apply(self, fault: Fault) -> None:
        target = self._target(fault)
        if target in self._busy or target.pid is None:
            return
        if isinstance(target, Broker) and any(isinstance(busy, Broker) for busy in self._busy):
            return  # with two of three brokers away nothing can be promised
        self._busy.add(target)
        self.applied.append((time.time(), fault))
        if fault.kind in WORKER_FAULTS:
            self.disturbances.moments.append(time.time())
        self._say(f"{fault.kind} {fault.target} for {fault.lasts_seconds:.1f} s")
        repair = self._hurt(fault, target)
        if fault.kind is FaultKind.STORM:
            return
        began = time.time()
        self._later(time.monotonic() + fault.lasts_seconds, lambda: self._repair(target, repair, began))

    def _target(self, fault: Fault) -> Broker | Service:
        match fault.kind:
            case FaultKind.TERM_BROKER | FaultKind.KILL_BROKER:
                return self._system.brokers[fault.target - 1]
            case FaultKind.KILL_RELAY:
                return self._system.relay
            case FaultKind.KILL_PROJECTOR:
                return self._system.services["projector"]
            case FaultKind.STORM:
                return self._system.worker(1)
            case _:
                return self._system.worker(fault.target)

    def _hurt(self, fault: Fault, target: Broker | Service) -> Callable[[], None]:
        match fault.kind, target:
            case FaultKind.KILL_BROKER, Broker():
                target.kill()
                return target.launch
            case FaultKind.TERM_BROKER, Broker():
                target.stop()
                return target.launch
            case FaultKind.PAUSE_WORKER, Service():
                target.signal(signal.SIGSTOP)
                return lambda: target.signal(signal.SIGCONT)
            case FaultKind.TERM_WORKER, Service():
                target.request_stop()
                return lambda: self._relaunch(target)
            case FaultKind.STORM, Service():
                self._storm(target, time.monotonic() + fault.lasts_seconds)
                return lambda: None
            case _, Service():
                target.kill()
                return target.launch
            case _:
                raise AssertionError(fault)

    def _relaunch(self, service: Service) -> None:
        service.stop()
        service.launch()

    def _storm(self, service: Service, until: float) -> None:
        """Kill and start one worker again and again: every step is a rebalance for all."""
        self.disturbances.moments.append(time.time())
        service.kill()
        service.launch()
        if time.monotonic() < until:
            self._later(time.monotonic() + _STORM_PAUSE_SECONDS, lambda: self._storm(service, until))
        else:
            self._busy.discard(service)

    def _repair(self, target: Broker | Service, repair: Callable[[], None], began: float) -> None:
        repair()
        if isinstance(target, Broker):
            self.disturbances.outages.append((began, time.time() + _BROKER_SECONDS))
        elif target.spec.name.startswith("worker"):
            self.disturbances.moments += [time.time(), time.time() + _JOIN_SECONDS]
        self._busy.discard(target)
