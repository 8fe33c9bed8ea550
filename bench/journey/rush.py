"""A rush: clicks at a rising rate whether or not the system keeps up, while a version takes its time."""

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bench.journey.figures import Figures, percentile, ratio, spread
from bench.journey.journey import UNFINISHED, Journey, waits
from bench.journey.processor_time import Reading
from bench.journey.simulator_log import Spoken, delays_of_first_text
from bench.journey.stage import Stage
from bench.journey.submissions import make_submissions
from bench.journey.travel import travel_all

_TOLERANCE = 1.25
"""A step is sustained when 95 of 100 tasks take at most so many times as long as a version does."""


@dataclass(frozen=True, slots=True)
class Step:
    """Clicks at one rate."""

    rate_per_second: float
    seconds: float


@dataclass(frozen=True, slots=True)
class RushPlan:
    """Steps, how long a version takes, and how long the last task may take after the last click."""

    steps: tuple[Step, ...]
    version_seconds: float
    grace_seconds: float

    @property
    def clicks(self) -> list[tuple[int, float]]:
        """List (number of the step, seconds from the beginning) of every click."""
        clicks: list[tuple[int, float]] = []
        began = 0.0
        for number, step in enumerate(self.steps):
            count = round(step.rate_per_second * step.seconds)
            clicks += [(number, began + index / step.rate_per_second) for index in range(count)]
            began += step.seconds
        return clicks


Sample = tuple[float, Reading]
"""When, and the processor time used until then."""


def measure(stage: Stage, plan: RushPlan, tag: str) -> dict[str, Any]:
    """Run all steps; return the figures of each, and of the whole."""
    stage.simulator.forget()
    stage.simulator.write_clean_texts()
    stage.simulator.set_pace(_pace(plan.version_seconds))
    clicks = plan.clicks
    journeys, samples = asyncio.run(_run(stage, plan, tag))
    spoken = stage.simulator.read_calls()
    per_step = [
        [journey for journey, (at, _) in zip(journeys, clicks, strict=True) if at == number]
        for number in range(len(plan.steps))
    ]
    return {
        "steps": [
            step_figures(step, plan.version_seconds, own, spoken) | usage_between(samples[number], samples[number + 1])
            for number, (step, own) in enumerate(zip(plan.steps, per_step, strict=True))
        ],
        "outcomes": dict(Counter(journey.outcome for journey in journeys)),
        "whole": whole_figures(journeys, spoken, samples[0], samples[-1]),
    }


def step_figures(step: Step, version_seconds: float, journeys: list[Journey], spoken: Spoken) -> Figures:
    """Return how the clicks of one step fared; `sustained` is 1 or 0."""
    succeeded = [journey for journey in journeys if journey.succeeded]
    ends = waits(succeeded, lambda journey: journey.ended_at)
    unfinished_count = sum(journey.outcome == UNFINISHED for journey in journeys)
    error_count = sum(journey.is_error for journey in journeys)
    slowest = percentile(ends, 0.95)
    in_time = slowest is not None and slowest <= _TOLERANCE * version_seconds
    return {
        "rate_per_second": step.rate_per_second,
        "count": float(len(journeys)),
        "error_count": float(error_count),
        "unfinished_count": float(unfinished_count),
        "sustained": float(in_time and error_count == unfinished_count == 0),
        **spread("answer", waits(journeys, lambda journey: journey.answered_at)),
        **spread("started", waits(journeys, lambda journey: journey.started_at), "seconds"),
        **spread("first_words", waits(journeys, lambda journey: journey.first_words_at), "seconds"),
        **spread("end", ends, "seconds"),
        **spread("first_text_delay", delays_of_first_text(journeys, spoken)),
    }


def usage_between(before: Sample, after: Sample) -> Figures:
    """Return how many processors each process kept busy between two samples."""
    seconds = after[0] - before[0]
    used = after[1].since(before[1])
    busy: Figures = {f"busy_{name}": value / seconds for name, value in used.processes.items()}
    return busy | {"busy_machine": used.machine / seconds}


def whole_figures(journeys: list[Journey], spoken: Spoken, before: Sample, after: Sample) -> Figures:
    """Return the processor time by process, for each task that succeeded and for each piece of text of the model.

    `client` is this program itself.
    """
    used = after[1].since(before[1])
    ended = [journey.ended_at for journey in journeys if journey.succeeded and journey.ended_at is not None]
    count = float(len(ended))
    own: Figures = {f"cpu_ms_{name}": ratio(1000 * value, count) for name, value in used.processes.items()}
    per_delta: Figures = {
        f"cpu_us_per_delta_{name}": ratio(1e6 * value, spoken.delta_count) for name, value in used.processes.items()
    }
    services = sum(value for name, value in used.processes.items() if name not in ("client", "simulator"))
    return (
        own
        | (per_delta if spoken.delta_count else {})
        | {
            "delta_count": float(spoken.delta_count),
            "succeeded_count": count,
            "cpu_ms_services": ratio(1000 * services, count),
            "cpu_seconds_machine": used.machine,
            "cpu_seconds_others": used.machine - sum(used.processes.values()),
        }
    )


async def _run(stage: Stage, plan: RushPlan, tag: str) -> tuple[list[Journey], list[Sample]]:
    offsets = [at for _, at in plan.clicks]
    bodies = make_submissions(len(offsets), tag)
    watching = asyncio.create_task(_watch(stage, plan))
    journeys = await travel_all(stage.travel, bodies, offsets, plan.grace_seconds)
    samples = await watching
    return journeys, [*samples, _sample(stage)]


async def _watch(stage: Stage, plan: RushPlan) -> list[Sample]:
    """Take a sample at the beginning and at the end of each step."""
    samples = [_sample(stage)]
    for step in plan.steps:
        await asyncio.sleep(max(0.0, samples[-1][0] + step.seconds - time.monotonic()))
        samples.append(_sample(stage))
    return samples


def _sample(stage: Stage) -> Sample:
    return time.monotonic(), stage.read_processor_time({"client": os.getpid()})


def _pace(version_seconds: float) -> dict[str, Any]:
    return {
        "first_text_seconds": (0.5, 1.5),
        "tokens_per_second": (40, 80),
        "delta_seconds": 0.05,
        "text_seconds": version_seconds,
    }
