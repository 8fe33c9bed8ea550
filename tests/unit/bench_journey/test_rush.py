from bench.journey.journey import Journey
from bench.journey.plan import full_plan, quick_plan
from bench.journey.processor_time import Reading
from bench.journey.rush import RushPlan, Step, step_figures, usage_between, whole_figures
from bench.journey.simulator_log import Spoken

NOTHING = Spoken({}, {}, 0)
STEP = Step(5, 10)


def ended(seconds: float, outcome: str = "succeeded") -> Journey:
    return Journey(100.0, answered_at=100.1, started_at=100.2, ended_at=100.0 + seconds, outcome=outcome)


def test_clicks_come_at_the_rate_of_their_step_and_wait_for_nobody() -> None:
    plan = RushPlan((Step(1, 2), Step(4, 1)), version_seconds=1, grace_seconds=1)
    assert plan.clicks == [(0, 0.0), (0, 1.0), (1, 2.0), (1, 2.25), (1, 2.5), (1, 2.75)]


def test_a_step_is_sustained_when_nearly_all_end_in_time() -> None:
    assert step_figures(STEP, 40, [ended(41)] * 20, NOTHING)["sustained"] == 1.0
    assert step_figures(STEP, 40, [ended(41)] * 19 + [ended(51)], NOTHING)["sustained"] == 1.0
    assert step_figures(STEP, 40, [ended(41)] * 18 + [ended(51)] * 2, NOTHING)["sustained"] == 0.0


def test_one_error_or_one_that_has_not_ended_is_not_sustained() -> None:
    broken = Journey(100.0, outcome="refused 503")
    figures = step_figures(STEP, 40, [ended(41)] * 99 + [broken], NOTHING)
    assert (figures["sustained"], figures["error_count"]) == (0.0, 1.0)
    figures = step_figures(STEP, 40, [ended(41)] * 99 + [Journey(100.0)], NOTHING)
    assert (figures["sustained"], figures["unfinished_count"]) == (0.0, 1.0)


def test_nothing_that_ended_is_not_sustained() -> None:
    assert step_figures(STEP, 40, [], NOTHING)["sustained"] == 0.0


def test_the_cost_of_a_task_leaves_out_client_and_simulator() -> None:
    before = 0.0, Reading({"api": 1.0, "simulator": 0.0, "client": 0.0}, 10.0)
    after = 10.0, Reading({"api": 3.0, "simulator": 4.0, "client": 8.0}, 30.0)
    figures = whole_figures([ended(40), ended(41), Journey(100.0)], Spoken({}, {}, 6, 4000), before, after)
    assert figures["cpu_ms_services"] == figures["cpu_ms_api"] == 1000.0
    assert figures["cpu_ms_simulator"] == 2000.0
    assert figures["cpu_us_per_delta_api"] == 500.0
    assert figures["cpu_seconds_others"] == 20.0 - 14.0
    assert usage_between(before, after) == {
        "busy_api": 0.2,
        "busy_simulator": 0.4,
        "busy_client": 0.8,
        "busy_machine": 2.0,
    }


def test_the_rush_ends_at_twice_what_the_threads_of_the_old_way_allow() -> None:
    for plan in (full_plan(3, 1), quick_plan(1, 1)):
        most = plan.seed_thread_count / plan.rush.version_seconds
        assert plan.rush.steps[-1].rate_per_second == 2 * most
        assert any(step.rate_per_second == most for step in plan.rush.steps)


def test_the_workers_together_have_room_for_everything_that_comes() -> None:
    for worker_count in (1, 2, 4):
        plan = full_plan(3, worker_count)
        slots = int(plan.environment["WORKER_SLOTS"]) * worker_count
        assert slots >= plan.rush.version_seconds * plan.rush.steps[-1].rate_per_second
        assert int(plan.environment["MODEL_CONCURRENT_CALL_COUNT"]) == 3 * int(plan.environment["WORKER_SLOTS"])
