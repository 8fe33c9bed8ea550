"""A model simulator of a test's own: a process on a free port that dies with the test."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import pytest

from deploy.model_simulator.call_log import RUNNING, CallRecord
from deploy.model_simulator.pace import ProfileName

_ROOT = Path(__file__).resolve().parents[2]
_STARTED = re.compile(r"simulator\.started host=\S+ port=(\d+)")
_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01


class ModelSimulator:
    """Start the simulator as a child process, and steer it; every method is a short blocking call.

    The kernel ends the child when the thread that started it ends, so start it from a thread that lasts.
    """

    def __init__(self, profile: ProfileName = "fast", **settings: str) -> None:
        self._environment = {**os.environ, "SIMULATOR_PROFILE": profile}
        self._environment.update({f"SIMULATOR_{name.upper()}": value for name, value in settings.items()})
        self._log = Path(tempfile.mkstemp(prefix="model-simulator-", suffix=".log")[1])
        self._process: subprocess.Popen[bytes] | None = None
        self._client: httpx2.Client | None = None
        self.port = 0

    @property
    def base_url(self) -> str:
        """The address that an OpenAI client takes as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        """The process, for tests that stop or kill it."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> "ModelSimulator":
        """Start, and return when it answers."""
        arguments = ("--host", "127.0.0.1", "--port", str(self.port), "--die-with-parent")
        self._log.write_bytes(b"")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.model_simulator", *arguments],
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.port = self._wait_for_port(self._process)
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10, trust_env=False)
        self._client.get("/healthz").raise_for_status()
        return self

    def stop(self) -> None:
        """Stop the process if it runs; `start` brings it back on the same port."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_STOP_SECONDS)
            self._process = None

    def log(self) -> str:
        """Return what the process has written."""
        return self._log.read_text("utf-8", "replace")

    def __enter__(self) -> "ModelSimulator":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._log.unlink(missing_ok=True)

    # Steering.

    def set_faults(self, *rules: Mapping[str, Any]) -> None:
        """Put rules in the place of all others; see `FaultRule` for their fields."""
        self._control("PUT", "faults", list(rules))

    def set_fault(self, fault: str, *, times: int | None = None, match: str | None = None, **params: Any) -> None:
        """Put one rule in the place of all others."""
        self.set_faults({"fault": fault, "times": times, "match": match, "params": params})

    def clear_faults(self) -> None:
        """Remove all rules."""
        self._control("DELETE", "faults")

    def fault_rules(self) -> list[dict[str, Any]]:
        """Return the rules, each with its `hits`."""
        rules: list[dict[str, Any]] = self._control("GET", "faults")["rules"]
        return rules

    def set_limits(
        self,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        burst_seconds: float = 60,
    ) -> None:
        """Begin with full buckets of these sizes."""
        limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
        self._control("PUT", "limits", {**limits, "burst_seconds": burst_seconds})

    def clear_limits(self) -> None:
        """Let everything through."""
        self._control("DELETE", "limits")

    def set_profile(self, profile: ProfileName) -> None:
        """Change how fast texts appear."""
        self._control("PUT", "pace", {"profile": profile})

    def set_pace(
        self,
        *,
        first_text_seconds: float,
        tokens_per_second: float,
        delta_seconds: float,
        text_seconds: float | None = None,
    ) -> None:
        """Give every call that begins from now on the same pace."""
        pace = {
            "first_text_seconds": (first_text_seconds, first_text_seconds),
            "tokens_per_second": (tokens_per_second, tokens_per_second),
            "delta_seconds": delta_seconds,
            "text_seconds": text_seconds,
        }
        self._control("PUT", "pace", pace)

    def reset(self, profile: ProfileName = "fast") -> None:
        """Forget faults, limits, pace and the calls that have ended."""
        self.clear_faults()
        self.clear_limits()
        self.set_profile(profile)
        self.clear_calls()

    # Looking.

    def calls(self, task_id: str | None = None) -> list[CallRecord]:
        """Return every call in the log, oldest first."""
        found: list[CallRecord] = []
        while True:
            after = found[-1].ordinal if found else 0
            page = self.call_summary(after=after, task_id=task_id)["calls"]
            found.extend(CallRecord(**call) for call in page)
            if not page:
                return found

    def call_summary(self, after: int = 0, task_id: str | None = None, limit: int = 10_000) -> dict[str, Any]:
        """Return the counts and one page of calls, as the control API gives them."""
        query = {"after": str(after), "limit": str(limit)} | ({"task_id": task_id} if task_id else {})
        summary: dict[str, Any] = self._control("GET", "calls", query=query)
        return summary

    def clear_calls(self) -> None:
        """Forget the calls that have ended."""
        self._control("DELETE", "calls")

    def wait_until(
        self, happened: Callable[[Sequence[CallRecord]], bool], timeout_seconds: float = 10
    ) -> list[CallRecord]:
        """Ask for the calls until they are as expected; raise TimeoutError with their outcomes."""
        deadline = time.monotonic() + timeout_seconds
        while not happened(calls := self.calls()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"calls stayed {[(call.ordinal, call.outcome) for call in calls]}")
            time.sleep(_POLL_SECONDS)
        return calls

    def wait_until_idle(self, call_count: int = 1, timeout_seconds: float = 10) -> list[CallRecord]:
        """Wait for that many calls to have begun and none to be running."""
        return self.wait_until(
            lambda calls: len(calls) >= call_count and all(call.outcome != RUNNING for call in calls),
            timeout_seconds,
        )

    def _control(self, method: str, resource: str, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        assert self._client is not None, "the simulator is not running"
        path = f"/control/{resource}"
        reply = (
            self._client.request(method, path, params=query)
            if body is None
            else self._client.request(method, path, params=query, json=body)
        )
        if reply.status_code != 200:
            raise ValueError(f"{method} {path}: {reply.text}")
        return reply.json()

    def _wait_for_port(self, process: "subprocess.Popen[bytes]") -> int:
        deadline = time.monotonic() + _START_SECONDS
        while not (found := _STARTED.search(self.log())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not start:\n{self.log()}")
            time.sleep(_POLL_SECONDS)
        return int(found[1])


@pytest.fixture(scope="module")
def model_simulator_process() -> Iterator[ModelSimulator]:
    """Start one simulator for a module's tests."""
    with ModelSimulator() as simulator:
        yield simulator


@pytest.fixture
def model_simulator(model_simulator_process: ModelSimulator) -> ModelSimulator:
    """Return the module's simulator as if it were new: fast, faultless, without a past."""
    model_simulator_process.reset()
    return model_simulator_process
