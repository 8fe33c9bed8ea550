"""Measure what a generation costs the worker: `python -m bench.generation [--quick] [--tasks 100] [--rounds 3]`."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.generation.assignment import VERSION_COUNT
from bench.generation.reading import measure_reading
from bench.journey.figures import Figures, medians, ratio
from bench.journey.simulator_log import SimulatorControl
from bench.journey.stage import running_simulator

_RESULTS = Path(__file__).resolve().parents[1] / "results"
_LONGEST_SECONDS = 600
_SEED_SECONDS = 40.0
_QUICK_SECONDS = 8.0
_QUICK_TASKS = 20
_CONTESTANTS = ("floor", "ours", "steady", "sdk")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and keep all rounds in bench/results."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.generation", description="The processor time of a generation."
    )
    parser.add_argument("--quick", action="store_true", help="20 tasks at five times the pace")
    parser.add_argument("--tasks", type=int, help="tasks at once (100)")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds (3)")
    options = parser.parse_args(arguments)
    tasks = options.tasks or (_QUICK_TASKS if options.quick else 100)
    seconds = _QUICK_SECONDS if options.quick else _SEED_SECONDS
    with running_simulator() as (url, _):
        control = SimulatorControl(url)
        control.write_clean_texts()
        rounds = [_round(url, control, number, tasks, seconds) for number in range(options.rounds)]
    summary = medians(rounds)
    _RESULTS.mkdir(exist_ok=True)
    content = {"tasks": tasks, "version_seconds": seconds, "median": summary, "rounds": rounds}
    name = f"generation{'-quick' if options.quick else ''}.json"
    (_RESULTS / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(_table(summary))
    return 0


def _round(url: str, control: SimulatorControl, number: int, tasks: int, seconds: float) -> Figures:
    """Measure every contestant once; each round begins with another one."""
    figures: Figures = {}
    names = list(_CONTESTANTS)
    names = names[number % len(names) :] + names[: number % len(names)]
    pace = {"first_text_seconds": [0.5, 1.5], "tokens_per_second": [40, 80], "delta_seconds": 0.05}
    control.set_pace({**pace, "text_seconds": seconds})
    for name in names:
        control.forget()
        measured = _measure(name, url, tasks)
        spoken = control.read_calls()
        if spoken.call_count != tasks * VERSION_COUNT:
            raise ValueError(f"{name} made {spoken.call_count} calls")
        figures[f"{name}_us_per_piece"] = 1e6 * measured["cpu_seconds"] / spoken.delta_count
        figures["pieces_per_task"] = spoken.delta_count / tasks
        figures[f"{name}_seconds_per_task"] = measured["cpu_seconds"] / tasks
        if "records" in measured:
            figures[f"{name}_records_per_task"] = measured["records"] / tasks
    floor = figures["floor_us_per_piece"]
    figures |= {f"{name}_ratio": ratio(figures[f"{name}_us_per_piece"], floor) for name in _CONTESTANTS[1:]}
    control.set_profile("fast")
    for name in ("cold", "warm"):
        measured = _measure(name, url, tasks)
        figures |= {f"{name}_{figure}": value for figure, value in measured.items()}
    figures |= measure_reading()
    print(json.dumps(figures), file=sys.stderr, flush=True)
    return figures


def _measure(name: str, url: str, tasks: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.generation.contestant", name, url, str(tasks)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=_LONGEST_SECONDS).stdout
    measured: dict[str, float] = json.loads(printed)
    return measured


def _table(summary: Figures) -> str:
    lines = ["| | |", "|---|---:|"]
    lines += [f"| {name.replace('_', ' ')} | {value:.3g} |" for name, value in summary.items() if value is not None]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
