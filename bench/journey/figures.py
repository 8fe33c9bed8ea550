"""Figures: percentiles of one round, and the median of each figure over rounds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

Figures = dict[str, float | None]
"""Named figures of one system in one round, units in the names; None where there was nothing to measure."""


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that at least `share` of all values do not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def spread(name: str, seconds: Iterable[float], unit: str = "ms") -> Figures:
    """Return median and 95th percentile of durations in seconds, in `ms` or `seconds`."""
    scale = 1000.0 if unit == "ms" else 1.0
    values = [scale * value for value in seconds]
    return {f"{name}_p50_{unit}": percentile(values, 0.5), f"{name}_p95_{unit}": percentile(values, 0.95)}


def medians(rounds: Sequence[Mapping[str, float | None]]) -> Figures:
    """Return the median over rounds of each figure, leaving out rounds that do not have it."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {name: _median([figures.get(name) for figures in rounds]) for name in names}


def ratio(value: float | None, other: float | None) -> float | None:
    """Return how many times `other` a value is; None where that cannot be said."""
    return value / other if value is not None and other else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
