"""The course of a measurement: rounds in which both systems take turns on the same simulator settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.journey import browser, quiet, rush
from bench.journey.figures import Figures
from bench.journey.plan import Plan
from bench.journey.stage import (
    Stage,
    running_seed,
    running_simulator,
    running_system,
    seed_stage,
    settle,
    stage_of,
)

Say = Callable[[str], None]
_QUIET_GRACE_SECONDS = 40.0
_SLOW_GRACE_SECONDS = 130.0


@dataclass
class Course:
    """What has been measured: one entry for each round."""

    plan: Plan
    say: Say
    parts: frozenset[str]
    ours: list[dict[str, Figures]] = field(default_factory=list)
    seed: list[dict[str, Figures]] = field(default_factory=list)
    rushes: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        """Run all rounds."""
        for number in range(1, self.plan.round_count + 1):
            if "quiet" in self.parts:
                self._quiet_round(number)
            if "rush" in self.parts:
                self._rush_round(number)

    def _quiet_round(self, number: int) -> None:
        plan = self.plan
        with running_system({}) as system:
            simulator = system.services["simulator"]
            with running_seed(system.simulator_url, plan.seed_thread_count) as (seed_url, seed_service):
                ours, seed = stage_of(system), seed_stage(system.simulator_url, simulator, seed_url, seed_service)
                settle()
                self._warm_up(ours, seed)
                ours_now: dict[str, Figures] = {}
                seed_now: dict[str, Figures] = {}
                for name, stage, now in _in_turns(number, ours, ours_now, seed, seed_now):
                    self.say(f"round {number}: quiet journeys through {name}")
                    spacing = plan.quiet_spacing_seconds
                    tag = f"quiet {number}"
                    now["quiet"] = quiet.measure(stage, plan.quiet_count, spacing, tag, _QUIET_GRACE_SECONDS)
                if plan.slow_count:
                    ours.simulator.set_profile("seed")
                    for name, stage, now in _in_turns(number, ours, ours_now, seed, seed_now):
                        self.say(f"round {number}: slow journeys through {name}")
                        now["slow"] = quiet.measure(stage, plan.slow_count, 0.5, f"slow {number}", _SLOW_GRACE_SECONDS)
                    ours.simulator.set_profile("realistic")
                if plan.page_count and browser.is_here():
                    self.say(f"round {number}: the page in Chromium")
                    ours_now["page"] = browser.measure(ours.page_url, plan.page_count, f"page {number}")
                self.ours.append(ours_now)
                self.seed.append(seed_now)

    def _warm_up(self, ours: Stage, seed: Stage) -> None:
        """Let each system import, connect and compile what it does once; these journeys are thrown away."""
        ours.simulator.set_profile("fast")
        for stage in (ours, seed):
            quiet.measure(stage, 3, 0.2, "warm up", _QUIET_GRACE_SECONDS)
        ours.simulator.set_profile("realistic")

    def _rush_round(self, number: int) -> None:
        turns = [("ours", self._rush_ours), ("seed", self._rush_seed)]
        found: dict[str, Any] = {}
        for name, run in turns if number % 2 else reversed(turns):
            self.say(f"round {number}: the rush through {name}")
            found[name] = run(f"rush {number}")
        self.rushes.append(found)

    def _rush_ours(self, tag: str) -> dict[str, Any]:
        with running_system(self.plan.environment, self.plan.worker_count) as system:
            settle()
            return rush.measure(stage_of(system), self.plan.rush, tag)

    def _rush_seed(self, tag: str) -> dict[str, Any]:
        with (
            running_simulator() as (simulator_url, simulator),
            running_seed(simulator_url, self.plan.seed_thread_count) as (seed_url, seed_service),
        ):
            settle()
            return rush.measure(seed_stage(simulator_url, simulator, seed_url, seed_service), self.plan.rush, tag)


def _in_turns(
    number: int, ours: Stage, ours_now: dict[str, Figures], seed: Stage, seed_now: dict[str, Figures]
) -> list[tuple[str, Stage, dict[str, Figures]]]:
    """Change who goes first with each round."""
    turns = [("ours", ours, ours_now), ("seed", seed, seed_now)]
    return turns if number % 2 else turns[::-1]
