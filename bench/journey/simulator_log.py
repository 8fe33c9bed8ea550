"""What the simulator remembers of its calls, on the client's clock."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx2

from bench.journey.journey import Journey

_PAGE_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Spoken:
    """When the model began and ended each version, on the client's monotonic clock.

    Only a streamed call has a first text; the end is that of the last call, rewrites included.
    """

    first_text_at: dict[tuple[str, int], float]
    ended_at: dict[tuple[str, int], float]
    call_count: int
    delta_count: int = 0


class SimulatorControl:
    """The simulator's control API."""

    def __init__(self, simulator_url: str) -> None:
        self._client = httpx2.Client(base_url=simulator_url.removesuffix("/v1"), timeout=30, trust_env=False)

    def set_profile(self, profile: str) -> None:
        """Change how fast texts appear."""
        self._put("pace", {"profile": profile})

    def set_pace(self, pace: dict[str, Any]) -> None:
        """Change how fast texts appear, in numbers."""
        self._put("pace", pace)

    def write_clean_texts(self) -> None:
        """Let no draft need a second call, so that each version takes exactly its time."""
        self._put("faults", [{"fault": "clean_text"}])

    def forget(self) -> None:
        """Forget the calls that have ended."""
        self._client.delete("/control/calls").raise_for_status()

    def read_calls(self) -> Spoken:
        """Read all calls of the log."""
        first_text_at: dict[tuple[str, int], float] = {}
        ended_at: dict[tuple[str, int], float] = {}
        after = count = delta_count = 0
        while calls := self._page(after):
            offset = self._offset
            after, count = calls[-1]["ordinal"], count + len(calls)
            for call in calls:
                delta_count += call["deltas_sent"] if call["stream"] else 0
                key = (str(call["task_id"]), int(call["version"] or 0))
                if call["stream"] and call["first_text_at"] is not None:
                    first_text_at.setdefault(key, call["first_text_at"] + offset)
                if call["ended_at"] is not None:
                    ended_at[key] = max(ended_at.get(key, 0.0), call["ended_at"] + offset)
        return Spoken(first_text_at, ended_at, count, delta_count)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _page(self, after: int) -> list[dict[str, Any]]:
        began = time.monotonic()
        answer = self._client.get("/control/calls", params={"after": after, "limit": 1 if after == 0 else _PAGE_COUNT})
        answered = time.monotonic()
        answer.raise_for_status()
        if after == 0:  # a short answer, whose middle is when the simulator looked at its clock
            self._offset = (began + answered) / 2 - answer.json()["now"]
        calls: list[dict[str, Any]] = answer.json()["calls"]
        return calls

    def _put(self, resource: str, body: object) -> None:
        self._client.put(f"/control/{resource}", json=body).raise_for_status()


def delays_of_first_text(journeys: Iterable[Journey], spoken: Spoken) -> list[float]:
    """Return, for each version, how long after the model the client saw its first text."""
    return [
        at - spoken.first_text_at[journey.task_id, version]
        for journey in journeys
        for version, at in journey.first_text_at.items()
        if (journey.task_id, version) in spoken.first_text_at
    ]


def delays_of_last_text(journeys: Iterable[Journey], spoken: Spoken) -> list[float]:
    """Return, for each version, how long after the model's last word the client had the checked and fitted text."""
    return [
        at - spoken.ended_at[journey.task_id, version]
        for journey in journeys
        for version, at in journey.completed_at.items()
        if (journey.task_id, version) in spoken.ended_at
    ]
