"""A small client in Python: submit notes and follow the task over SSE, whatever happens to the connection."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2

from contracts.codec import decode_event_value
from contracts.events import EVENT_TYPES
from contracts.lifecycle import TaskState, reduce
from contracts.snapshot import decode_snapshot

_SILENCE_SECONDS = 40.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0


class ViewerError(Exception):
    """The API or the relay answered something that no retry mends."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a 202 says, as far as a viewer needs it."""

    task_id: str
    ticket: str
    events_url: str


def submit(api_url: str, body: dict[str, Any], *, idempotency_key: str = "") -> Submitted:
    """Submit a generation request; raise ViewerError when it is not accepted."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    try:
        answer = httpx2.post(f"{api_url}/v1/tasks", json=body, headers=headers, timeout=10, trust_env=False)
    except httpx2.TransportError as error:
        raise ViewerError(f"the API does not answer ({type(error).__name__})") from None
    if answer.status_code != HTTPStatus.ACCEPTED:
        raise ViewerError(f"the API answered {answer.status_code}")
    accepted = answer.json()
    return Submitted(accepted["task_id"], accepted["ticket"], accepted["links"]["events"])


def follow(task: Submitted, *, seconds: float = 1800) -> Iterator[TaskState]:
    """Yield the task's state after each event until it has ended; reconnect from the last cursor when need be.

    Raises ViewerError when the relay refuses, and TimeoutError when the task has not ended in time.
    """
    viewer = _Viewer(task)
    until = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while time.monotonic() < until:
        try:
            for state in viewer.one_stream():
                pause = _FIRST_PAUSE_SECONDS
                yield state
        except httpx2.TransportError:
            pass  # the relay or the network is away: the next connection goes on where this one stopped
        if viewer.state is not None and viewer.state.ended:
            return
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    raise TimeoutError("the task has not ended in time")


class _Viewer:
    """What has been seen of one task, over all connections."""

    def __init__(self, task: Submitted) -> None:
        self._task = task
        self._cursor = ""
        self.state: TaskState | None = None

    def one_stream(self) -> Iterator[TaskState]:
        """Yield the states of one connection until it ends."""
        headers = {"Authorization": f"Bearer {self._task.ticket}"}
        if self._cursor:
            headers["Last-Event-ID"] = self._cursor
        timeout = httpx2.Timeout(10, read=_SILENCE_SECONDS)
        # Both services are on this machine, so no proxy of the environment is asked.
        with httpx2.stream("GET", self._task.events_url, headers=headers, timeout=timeout, trust_env=False) as answer:
            if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise httpx2.ConnectError(f"the relay answered {answer.status_code}")
            if answer.status_code != HTTPStatus.OK:
                raise ViewerError(f"the relay answered {answer.status_code}")
            for event in httpx2.EventSource(answer):
                self._take(event)
                if self.state is not None:
                    yield self.state

    def _take(self, event: httpx2.ServerSentEvent) -> None:
        if event.event == "snapshot":
            self.state, _ = decode_snapshot(event.data)
        elif self.state is not None and event.event in EVENT_TYPES:
            self.state = reduce(self.state, decode_event_value(event.event, event.data.encode()))
        self._cursor = event.id or self._cursor
