"""A minute of faults: every promise is kept by our worker, and the checker finds what a stock agent loses."""

from pathlib import Path

import pytest

from tests.chaos.run import QUICK_PACE, Plan, run
from tests.chaos.schedule import Fault, FaultKind, draw_schedule

pytestmark = pytest.mark.timeout(400)


def test_every_promise_is_kept_through_a_minute_of_faults(tmp_path: Path) -> None:
    report = run(Plan(seed=1, task_count=150, seconds=45, worker_count=2), tmp_path, print)
    print("\n".join(report.lines()))
    assert report.accepted == 150
    assert report.broken == []
    assert sum(report.terminal.values()) == 150


def test_the_checker_finds_what_a_stock_agent_loses(tmp_path: Path) -> None:
    kills = (FaultKind.KILL_WORKER,)
    plan = Plan(
        seed=1,
        task_count=200,
        seconds=30,
        worker_count=2,
        worker_module="tests.chaos.stock_worker",
        kinds=kills,
        settle_seconds=30,
        pace=QUICK_PACE,
        slow_every=4,
    )
    report = run(plan, tmp_path, print)
    print("\n".join(report.lines()))
    assert report.lost, "a checker that finds no loss here would find none anywhere"


def test_a_seed_is_a_schedule() -> None:
    def drawn(seed: int) -> tuple[Fault, ...]:
        return draw_schedule(seed, seconds=600, worker_count=3, broker_count=3)

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert {fault.kind for fault in drawn(7)} == set(FaultKind)
    assert all(5 <= fault.lasts_seconds <= 60 for fault in drawn(7) if fault.kind is FaultKind.PAUSE_WORKER)
