"""Measure the journey of a request: `python -m bench.journey [--quick] [--rounds 3]`, or `make bench-journey`."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.journey.course import Course
from bench.journey.plan import full_plan, quick_plan
from bench.journey.report import summary_of, table_of

_RESULTS = Path(__file__).resolve().parents[1] / "results"
_PARTS = ("quiet", "rush")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and keep the figures in bench/results."""
    parser = argparse.ArgumentParser(prog="python -m bench.journey", description="What a teacher waits for.")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, in two minutes")
    parser.add_argument("--rounds", type=int, help="alternating rounds (3; quick: 1)")
    parser.add_argument("--workers", type=int, default=1, help="our worker processes during the rush")
    parser.add_argument("--only", choices=_PARTS, help="only one part")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    make_plan = quick_plan if options.quick else full_plan
    plan = make_plan(options.rounds or (1 if options.quick else 3), options.workers)
    parts = frozenset({options.only} if options.only else _PARTS)
    course = Course(plan, lambda sentence: print(sentence, file=sys.stderr, flush=True), parts)
    course.run()
    summary = summary_of(course)
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"journey-{plan.name}{f'-{options.only}' if options.only else ''}.json"
    file.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table_of(summary))
    print(f"\nAll rounds: bench/results/{file.name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
