"""Tables: the summaries as Markdown, one table for each workload; ratios to the floor in brackets."""

from collections.abc import Mapping, Sequence

from bench.relay.measurement import Measurement, Summary
from bench.relay.workload import WORKLOADS

_HIDDEN = {"events_per_second", "cpu_share", "max_ms"}
_WORDS = {
    "cpu_us_per_event": "CPU µs / event",
    "cpu_us_per_snapshot": "CPU µs / snapshot",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "p999_ms": "p99.9 ms",
    "kb_per_stream": "KB / stream",
    "kb_per_stream_and_task": "KB / stream with its task",
    "cpu_seconds_per_minute": "CPU s / min",
    "heartbeats_per_stream": "heartbeats / stream",
    "seconds": "s until all is there",
    "ready_seconds": "s until ready",
}


def tables(summaries: Sequence[Summary]) -> str:
    """Return one table for each workload."""
    names = dict.fromkeys(summary.workload for summary in summaries)
    return "\n".join(_table(name, [summary for summary in summaries if summary.workload == name]) for name in names)


def line_of(measurement: Measurement) -> str:
    """Return a measurement in one line, for those who wait."""
    parts = [f"{_WORDS.get(name, name)} {_number(value)}" for name, value in measurement.figures.items()]
    return " · ".join(parts) + _faults(measurement.faults)


def _table(name: str, summaries: Sequence[Summary]) -> str:
    columns = [figure for figure in summaries[0].figures if figure not in _HIDDEN]
    title = WORKLOADS[name].title if name in WORKLOADS else name
    lines = [
        f"\n### {name}: {title}",
        "| | " + " | ".join(_WORDS.get(column, column) for column in columns) + " | rounds |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for summary in summaries:
        cells = [_cell(summary, column) for column in columns]
        label = summary.contestant + _faults(summary.faults)
        lines.append(f"| {label} | {' | '.join(cells)} | {summary.rounds} |")
    return "\n".join(lines)


def _cell(summary: Summary, column: str) -> str:
    if column not in summary.figures:
        return "–"
    number = _number(summary.figures[column])
    ratio = summary.ratios.get(column)
    return number if ratio is None or summary.contestant == "floor" else f"{number} ({ratio:.2f}×)"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _faults(faults: Mapping[str, int]) -> str:
    return "".join(f" **{name}: {count}**" for name, count in faults.items())
