"""Plots: small SVG files, of what an event costs against the number of streams and against the rate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.relay.measurement import Summary

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 360, 60, 50, 30, 130
_COLOURS = ("#444444", "#999999", "#c0392b", "#e59866", "#2874a6", "#229954")
_BY_STREAMS = {"w1a": 500.0, "w1b": 2000.0, "w1c": 8000.0}
_BY_RATE = {"w1d": 1000.0, "load10": 0.0, "w1a": 5000.0, "w1b": 10_000.0, "load50": 0.0}
Line = Sequence[tuple[float, float]]


def write_plots(summaries: Sequence[Summary], folder: Path) -> None:
    """Write both plots, as far as there are two points for any contestant."""
    for name, title, places in (
        ("relay-streams.svg", "streams", _BY_STREAMS),
        ("relay-rate.svg", "events per second, all streams together", _BY_RATE),
    ):
        lines = _lines(summaries, places)
        if any(len(line) > 1 for line in lines.values()):
            (folder / name).write_text(plot(lines, title, "server CPU, µs per event"))


def _lines(summaries: Sequence[Summary], places: Mapping[str, float]) -> dict[str, Line]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for summary in summaries:
        if (place := places.get(summary.workload)) is None:
            continue
        x = place or summary.figures["events_per_second"]
        lines.setdefault(summary.contestant, []).append((x, summary.figures["cpu_us_per_event"]))
    return {name: sorted(line) for name, line in lines.items()}


def plot(lines: Mapping[str, Line], x_title: str, y_title: str) -> str:
    """Return an SVG with one line for each name; both axes begin at nought."""
    x_most = max(x for line in lines.values() for x, _ in line)
    y_most = max(y for line in lines.values() for _, y in line) * 1.05
    across, up = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return round(_LEFT + across * x / x_most, 1), round(_HEIGHT - _BOTTOM - up * y / y_most, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        left, level = place(0, y_most * share)
        right, _ = place(x_most, 0)
        parts.append(f'<line x1="{left}" y1="{level}" x2="{right}" y2="{level}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{level + 4}" text-anchor="end">{y_most * share:.0f}</text>')
        x, bottom = place(x_most * share, 0)
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{x_most * share:.0f}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [place(x, y) for x, y in line]
        path = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points]
        level = _TOP + 18 * (number + 1)
        parts.append(f'<text x="{_WIDTH - _RIGHT + 16}" y="{level}" fill="{colour}">{escape(name)}</text>')
    parts.append(f'<text x="{_LEFT + across / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_title)}</text>')
    parts.append(f'<text x="{_LEFT}" y="18">{escape(y_title)}</text></svg>')
    return "\n".join(parts) + "\n"
