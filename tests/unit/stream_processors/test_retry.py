import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Reason
from stream_processors.errors import ModelError
from stream_processors.retry import Again, Failures, GiveUp, RetryPolicy, decide

POLICY = RetryPolicy()


@pytest.mark.parametrize(
    "reason", [Reason.QUOTA_EXHAUSTED, Reason.UNAUTHORISED, Reason.REFUSED, Reason.INVALID_REQUEST]
)
def test_what_another_call_cannot_change_is_not_called_again(reason: Reason) -> None:
    assert decide(POLICY, ModelError(reason, "test"), Failures(1, 1), 600, 0) == GiveUp(reason)


@pytest.mark.parametrize(
    "reason",
    [
        Reason.RATE_LIMITED,
        Reason.OVERLOADED,
        Reason.TIMEOUT,
        Reason.TRUNCATED,
        Reason.LENGTH,
        Reason.FILTERED,
        Reason.PROTOCOL,
    ],
)
def test_everything_else_is(reason: Reason) -> None:
    assert decide(POLICY, ModelError(reason, "test"), Failures(1, 1), 600, 0) == Again(0.5)


def test_back_off_doubles_up_to_its_longest() -> None:
    error = ModelError(Reason.OVERLOADED, "test")
    policy = RetryPolicy(call_budget=100)
    waits = [decide(policy, error, Failures(n, n), 600, 0) for n in range(1, 9)]
    assert waits == [Again(seconds) for seconds in (0.5, 1, 2, 4, 8, 16, 20, 20)]


def test_what_the_server_asks_for_is_waited_in_full() -> None:
    error = ModelError(Reason.RATE_LIMITED, "test", retry_after_seconds=30)
    assert decide(POLICY, error, Failures(1, 1), 600, 0) == Again(30)


def test_a_wait_that_would_outlast_the_task_is_not_begun() -> None:
    error = ModelError(Reason.RATE_LIMITED, "test", retry_after_seconds=30)
    assert decide(POLICY, error, Failures(1, 1), 29, 0) == GiveUp(Reason.RATE_LIMITED)


def test_the_budget_ends_the_version() -> None:
    error = ModelError(Reason.OVERLOADED, "test")
    assert decide(POLICY, error, Failures(6, 2), 600, 0) == GiveUp(Reason.BUDGET_EXHAUSTED)


@given(
    st.sampled_from(Reason),
    st.none() | st.floats(0, 1e5),
    st.integers(1, 50),
    st.integers(1, 50),
    st.floats(0, 1e5),
    st.floats(0, 1),
)
def test_a_wait_is_never_shorter_than_asked_nor_longer_than_the_task(
    reason: Reason, asked: float | None, call_count: int, in_a_row: int, remaining: float, draw: float
) -> None:
    error = ModelError(reason, "test", retry_after_seconds=asked)
    match decide(POLICY, error, Failures(call_count, in_a_row), remaining, draw):
        case Again(seconds):
            assert (asked or 0) <= seconds < remaining
            assert call_count < POLICY.call_budget
            assert error.retryable
        case GiveUp(given_up):
            assert given_up in (reason, Reason.BUDGET_EXHAUSTED)
