"""The report: a table for people, JSON for whoever compares."""

import os
import platform
from dataclasses import asdict
from typing import Any

from bench.journey.course import Course
from bench.journey.figures import Figures, medians, ratio

_ROWS = {
    "quiet": [
        ("answer_p50_ms", "POST answered, median", "ms"),
        ("answer_p95_ms", "POST answered, 95th percentile", "ms"),
        ("first_event_p50_ms", "first event of the stream, median", "ms"),
        ("started_p50_ms", "first visible progress, median", "ms"),
        ("started_p95_ms", "first visible progress, 95th percentile", "ms"),
        ("first_words_p50_ms", "first words, median", "ms"),
        ("all_begun_p50_ms", "words of all three versions, median", "ms"),
        ("end_p50_seconds", "all texts checked and fitted, median", "s"),
        ("end_p95_seconds", "all texts checked and fitted, 95th percentile", "s"),
        ("first_text_delay_p50_ms", "added to the model's first words, median", "ms"),
        ("first_text_delay_p95_ms", "added to the model's first words, 95th percentile", "ms"),
        ("last_text_delay_p50_ms", "added to the model's last word, median", "ms"),
        ("last_text_delay_p95_ms", "added to the model's last word, 95th percentile", "ms"),
        ("not_succeeded_count", "journeys that did not succeed", ""),
    ],
    "page": [
        ("page_columns_p50_ms", "page: the columns stand, median", "ms"),
        ("page_moved_p50_ms", "page: a column says that it is drafting, median", "ms"),
        ("page_moved_p95_ms", "page: the same, 95th percentile", "ms"),
        ("page_words_p50_ms", "page: first words, median", "ms"),
    ],
    "step": [
        ("error_count", "errors", ""),
        ("unfinished_count", "not ended when the run was over", ""),
        ("sustained", "sustained (share of the rounds)", ""),
        ("answer_p50_ms", "POST answered, median", "ms"),
        ("answer_p95_ms", "POST answered, 95th percentile", "ms"),
        ("started_p50_seconds", "first visible progress, median", "s"),
        ("started_p95_seconds", "first visible progress, 95th percentile", "s"),
        ("first_text_delay_p95_ms", "added to the model's first words, 95th percentile", "ms"),
        ("end_p50_seconds", "end, median", "s"),
        ("end_p95_seconds", "end, 95th percentile", "s"),
        ("busy_machine", "processors busy, whole machine", ""),
    ],
}


def summary_of(course: Course) -> dict[str, Any]:
    """Return medians over rounds and every round; no path and no name of the machine."""
    return {
        "machine": {"processors": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
        "plan": asdict(course.plan),
        "settings_of_the_rush": course.plan.environment,
        "medians": {
            "ours": _medians_by_part(course.ours),
            "seed": _medians_by_part(course.seed),
            "rush": {name: _rush_medians([found[name] for found in course.rushes]) for name in _rushed(course)},
        },
        "rounds": {"ours": course.ours, "seed": course.seed, "rush": course.rushes},
    }


def table_of(summary: dict[str, Any]) -> str:
    """Return the medians as a Markdown table: ours, the old way, and the old way as a multiple of ours."""
    found = summary["medians"]
    lines = ["| | ours | old way | old ÷ ours |", "|---|---:|---:|---:|"]
    for part, title in (("quiet", "quiet"), ("slow", "a version takes 40 s"), ("page", "")):
        rows = _ROWS["page" if part == "page" else "quiet"]
        ours, seed = found["ours"].get(part), found["seed"].get(part, {})
        if ours:
            lines += [f"| **{title}** | | | |"] if title else []
            lines += [_line(label, unit, ours.get(name), seed.get(name)) for name, label, unit in rows]
    if found["rush"]:
        lines += _rush_lines(found["rush"])
    return "\n".join(lines)


def _rush_lines(found: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for ours, seed in zip(found["ours"]["steps"], found["seed"]["steps"], strict=True):
        lines.append(f"| **rush: {ours['rate_per_second']:g} clicks/s** | | | |")
        lines += [_line(label, unit, ours.get(name), seed.get(name)) for name, label, unit in _ROWS["step"]]
    lines.append("| **rush: processor time for each task that succeeded** | | | |")
    whole, other = found["ours"]["whole"], found["seed"]["whole"]
    for name in dict.fromkeys([*whole, *other]):
        unit = "ms" if name.startswith("cpu_ms_") else "µs" if name.startswith("cpu_us_") else ""
        label = name.removeprefix("cpu_ms_").removeprefix("cpu_us_").replace("_", " ")
        lines.append(_line(label, unit, whole.get(name), other.get(name)))
    return lines


def _line(label: str, unit: str, ours: float | None, seed: float | None) -> str:
    times = ratio(seed, ours)
    return f"| {label} | {_say(ours, unit)} | {_say(seed, unit)} | {'' if times is None else f'{times:.2g}'} |"


def _say(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = 0 if unit == "ms" and value >= 10 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{' ' + unit if unit else ''}"


def _medians_by_part(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    parts = dict.fromkeys(part for found in rounds for part in found)
    return {part: medians([found[part] for found in rounds if part in found]) for part in parts}


def _rush_medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    steps = [medians(step) for step in zip(*(found["steps"] for found in rounds), strict=True)]
    for step, own in zip(steps, zip(*(found["steps"] for found in rounds), strict=True), strict=True):
        step["sustained"] = sum(figures["sustained"] for figures in own) / len(own)
    return {"steps": steps, "whole": medians([found["whole"] for found in rounds])}


def _rushed(course: Course) -> list[str]:
    return ["ours", "seed"] if course.rushes else []
