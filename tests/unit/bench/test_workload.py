"""The workloads."""

from bench.relay.workload import WORKLOADS, CatchUp, Idle, Steady, at_load, quick


def test_a_share_of_a_core_becomes_a_rate_over_all_tasks() -> None:
    assert at_load(Steady("", 2000, 1), 0.5, 40_000).records_per_second == 20_000


def test_a_quick_run_is_shorter_but_the_same_work() -> None:
    for workload in WORKLOADS.values():
        short = quick(workload)
        match workload, short:
            case Steady(), Steady():
                assert short.records_per_second == workload.records_per_second
                assert short.window_seconds < workload.window_seconds
            case Idle(), Idle():
                assert short.window_seconds == 15, "one heartbeat must fall into it"
            case CatchUp(), CatchUp():
                assert short == workload
            case _:
                raise AssertionError("another kind of work")
