"""Keep a started system alive: what dies is started again, with growing pauses, until Ctrl-C."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from deploy.local.errors import LocalError
from deploy.local.system import System

Say = Callable[[str], None]

_POLL_SECONDS = 0.2
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0


@dataclass
class _Death:
    """When a process may be started again, and how long to wait after its next death."""

    again_at: float
    pause_seconds: float


class Supervisor:
    """Watches a system from the main thread."""

    def __init__(self, system: System, say: Say) -> None:
        """Watch `system`, and `say` one sentence about each death and return."""
        self._system = system
        self._say = say
        self._deaths: dict[str, _Death] = {}

    def watch(self) -> NoReturn:
        """Look five times a second, until a KeyboardInterrupt."""
        while True:
            self.look()
            time.sleep(_POLL_SECONDS)

    def look(self) -> None:
        """Start again what has died and whose pause is over."""
        for broker in self._system.brokers:
            if broker.pid is None:
                self._revive(f"Kafka on port {broker.port}", "it ended by itself", broker.restart)
        for name, service in self._system.services.items():
            if service.exit_status is not None:
                self._revive(name, f"status {service.exit_status}", service.launch)

    def _revive(self, name: str, why: str, start: Callable[[], None]) -> None:
        now = time.monotonic()
        death = self._deaths.get(name)
        if death is None or (death.again_at + _HEALTHY_SECONDS < now and death.again_at > 0):
            death = self._deaths[name] = _Death(now + _FIRST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS)
            self._say(f"{name} is gone ({why}); starting it again")
        if now < death.again_at:
            return
        try:
            start()
        except LocalError as error:
            self._say(str(error))
        death.pause_seconds = min(2 * death.pause_seconds, _LONGEST_PAUSE_SECONDS)
        death.again_at = time.monotonic() + death.pause_seconds
