from hypothesis import given
from hypothesis import strategies as st

from bench.journey.figures import medians, percentile, ratio, spread


@given(st.lists(st.floats(0, 1000), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_percentile_is_a_value_that_the_share_does_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert found is not None
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_nothing_measured_is_not_zero() -> None:
    assert percentile([], 0.5) is None
    assert spread("answer", []) == {"answer_p50_ms": None, "answer_p95_ms": None}


def test_a_spread_names_its_unit() -> None:
    assert spread("end", [1.0, 3.0, 2.0], "seconds") == {"end_p50_seconds": 2.0, "end_p95_seconds": 3.0}
    assert spread("answer", [0.02]) == {"answer_p50_ms": 20.0, "answer_p95_ms": 20.0}


def test_a_round_without_a_figure_does_not_pull_its_median() -> None:
    assert medians([{"a": 1.0, "b": None}, {"a": 9.0, "b": 4.0}, {"a": 3.0}]) == {"a": 3.0, "b": 4.0}
    assert medians([{"a": None}]) == {"a": None}


def test_a_ratio_needs_both_sides() -> None:
    assert ratio(6.0, 3.0) == 2.0
    assert ratio(6.0, 0.0) is None
    assert ratio(None, 3.0) is None
    assert ratio(6.0, None) is None
