"""`make chaos`: shoot at a running system and print what became of the tasks."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.run import QUICK_PACE, Plan, run
from tests.chaos.schedule import FaultKind


def main() -> int:
    """Run one plan for each seed; exit status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=main.__doc__)
    parser.add_argument("--seeds", default="1", help="numbers and ranges: 1,5,10-20")
    parser.add_argument("--tasks", type=int, default=Plan.task_count)
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="how long load and faults last")
    parser.add_argument("--workers", type=int, default=Plan.worker_count)
    parser.add_argument("--brokers", type=int, default=Plan.broker_count, choices=(1, 3))
    parser.add_argument(
        "--only", action="append", choices=[kind.name for kind in FaultKind], help="faults of this kind"
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=Plan.settle_seconds,
        help="seconds for everything to end once the faults are over",
    )
    parser.add_argument("--stock", action="store_true", help="the control: a stock Faust agent, which must lose tasks")
    parser.add_argument("--uneven", action="store_true", help="later requests often end before earlier ones")
    parser.add_argument("--keep", type=Path, help="keep records and logs below this folder")
    options = parser.parse_args()
    broken = 0
    for seed in seeds_of(options.seeds):
        plan = Plan(
            seed=seed,
            task_count=options.tasks,
            seconds=options.seconds,
            worker_count=options.workers,
            broker_count=options.brokers,
            worker_module="tests.chaos.stock_worker" if options.stock else Plan.worker_module,
            pace=QUICK_PACE if options.uneven else None,
            slow_every=4 if options.uneven else 0,
            settle_seconds=options.settle,
            kinds=tuple(FaultKind[name] for name in options.only) if options.only else tuple(FaultKind),
        )
        broken += not _report(plan, options.keep)
    return int(broken > 0)


def _report(plan: Plan, keep: Path | None) -> bool:
    print(f"seed {plan.seed}: {plan.task_count} tasks in {plan.seconds:g} s, {plan.worker_count} workers", flush=True)
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"  {time.monotonic() - began:6.1f} s  {words}", flush=True)

    with tempfile.TemporaryDirectory(prefix="draftstream-chaos-") as folder:
        report = run(plan, (keep / f"seed-{plan.seed}") if keep else Path(folder), say)
    print("\n".join(report.lines()))
    print(f"  {'BROKEN: ' + '; '.join(report.broken) if report.broken else 'every promise kept'}", flush=True)
    if report.examples:
        print(f"  for example: {', '.join(report.examples)}", flush=True)
    return not report.broken


def seeds_of(text: str) -> list[int]:
    """Return the numbers of a list like `1,5,10-20`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


if __name__ == "__main__":
    sys.exit(main())
