"""Measurements: one run's figures, and what several runs say together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run. `figures` by name, unit in the name; `faults` are counts that should be nought."""

    workload: str
    contestant: str
    figures: Mapping[str, float]
    faults: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of all rounds of one contestant and workload, and the ratios to the floor of the same rounds."""

    workload: str
    contestant: str
    rounds: int
    figures: Mapping[str, float]
    ratios: Mapping[str, float]
    faults: Mapping[str, int]


def summarise(measurements: Iterable[Measurement]) -> list[Summary]:
    """Return one summary for each pair of workload and contestant, in the order of their first runs."""
    runs: dict[tuple[str, str], list[Measurement]] = {}
    for measurement in measurements:
        runs.setdefault((measurement.workload, measurement.contestant), []).append(measurement)
    return [_summary(found, runs.get((workload, FLOOR), [])) for (workload, _), found in runs.items()]


def _summary(runs: Sequence[Measurement], floor: Sequence[Measurement]) -> Summary:
    """Ratios are made round by round, then their median is taken: what disturbs a round disturbs both."""
    figures = {name: median(run.figures[name] for run in runs) for name in runs[0].figures}
    ratios = {name: found for name in figures if (found := _ratio(name, runs, floor)) is not None}
    faults: dict[str, int] = {}
    for run in runs:
        for name, count in run.faults.items():
            faults[name] = faults.get(name, 0) + count
    return Summary(runs[0].workload, runs[0].contestant, len(runs), figures, ratios, faults)


def _ratio(name: str, runs: Sequence[Measurement], floor: Sequence[Measurement]) -> float | None:
    pairs = [
        run.figures[name] / below.figures[name]
        for run, below in zip(runs, floor, strict=False)
        if below.figures.get(name, 0) > 0
    ]
    return median(pairs) if pairs else None
