"""Submit tasks at a steady rate through the API, retrying with the same key until each is accepted."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2

from deploy.local.sample_notes import sample_notes

_ACCEPT_SECONDS = 120.0
_THREADS = 16
_SLOW = " [[fault:pace text_seconds=15]]"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task that the API answered 202 for."""

    task_id: str
    at: float


@dataclass
class Load:
    """So many tasks over so many seconds; `accepted` holds every 202, `refused` every task that never got one."""

    api_url: str
    task_count: int
    seconds: float
    run: str
    slow_every: int = 0
    """Every so many tasks one takes fifteen seconds, so that later requests end before it."""
    accepted: list[Accepted] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._submit_all, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def _submit_all(self) -> None:
        samples = sample_notes()
        began = time.monotonic()
        with httpx2.Client(timeout=8, trust_env=False) as client, ThreadPoolExecutor(_THREADS) as pool:
            for number in range(self.task_count):
                pause = began + number * self.seconds / self.task_count - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
                body = samples[number % len(samples)].body
                slow = _SLOW if self.slow_every and number % self.slow_every == 0 else ""
                notes = f"{body['notes']} ({self.run} {number}){slow}"
                pool.submit(self._submit, client, number, body | {"notes": notes})

    def _submit(self, client: httpx2.Client, number: int, body: dict[str, Any]) -> None:
        until, last = time.monotonic() + _ACCEPT_SECONDS, "nothing"
        headers = {"Idempotency-Key": f"{self.run}-{number}", "Cookie": self._cookie}
        while time.monotonic() < until:
            try:
                answer = client.post(f"{self.api_url}/v1/tasks", json=body, headers=headers)
            except httpx2.TransportError as error:
                last = type(error).__name__
            else:
                if answer.status_code == HTTPStatus.ACCEPTED:
                    with self._lock:
                        self.accepted.append(Accepted(answer.json()["task_id"], time.time()))
                    return
                last = str(answer.status_code)
            time.sleep(0.5)
        with self._lock:
            self.refused.append(last)

    def identify(self) -> None:
        """Become one owner, so that a retry with the same key is the same task."""
        answer = httpx2.post(f"{self.api_url}/v1/tickets", json={}, timeout=10)
        self._cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
