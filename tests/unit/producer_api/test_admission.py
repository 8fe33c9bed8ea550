import pytest

from contracts.task import OwnerId
from producer_api.admission import OwnerRates, QueueGate
from producer_api.errors import QueueTooLong, TooManyRequests
from producer_api.lag import queue_lag

ANN, BEN = OwnerId("ann"), OwnerId("ben")


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def refused(rates: OwnerRates, owner: OwnerId) -> int | None:
    try:
        rates.take(owner)
    except TooManyRequests as error:
        return error.retry_after_seconds
    return None


def test_a_burst_passes_and_then_one_in_each_period() -> None:
    clock = Clock()
    rates = OwnerRates(rate_per_second=0.5, burst_count=3, owner_count=10, now=clock)
    assert [refused(rates, ANN) for _ in range(4)] == [None, None, None, 2]
    clock.time += 1
    assert refused(rates, ANN) == 1
    clock.time += 1
    assert [refused(rates, ANN), refused(rates, ANN)] == [None, 2]


def test_one_owner_does_not_use_up_anothers_rate() -> None:
    rates = OwnerRates(1, 1, 10, Clock())
    assert [refused(rates, ANN), refused(rates, ANN), refused(rates, BEN)] == [None, 1, None]


def test_a_bucket_never_holds_more_than_a_burst() -> None:
    clock = Clock()
    rates = OwnerRates(1, 2, 10, clock)
    rates.take(ANN)
    clock.time += 1_000_000
    assert [refused(rates, ANN) for _ in range(3)] == [None, None, 1]


def test_beyond_the_bound_the_longest_idle_owner_is_forgotten() -> None:
    rates = OwnerRates(0.001, 1, 2, Clock())
    for owner in (ANN, BEN, ANN, OwnerId("third")):
        refused(rates, owner)
    assert refused(rates, ANN) is not None
    assert refused(rates, BEN) is None


def test_the_gate_closes_when_a_task_would_start_after_its_deadline() -> None:
    gate = QueueGate(task_seconds=30, slot_count=10, start_deadline_seconds=600)
    gate.check(200)
    with pytest.raises(QueueTooLong) as refusal:
        gate.check(205)
    assert refusal.value.retry_after_seconds == 15
    assert refusal.value.headers == {"Retry-After": "15"}


def test_the_gate_never_sends_anybody_away_for_longer_than_five_minutes() -> None:
    with pytest.raises(QueueTooLong) as refusal:
        QueueGate(30, 1, 600).check(10**6)
    assert refusal.value.retry_after_seconds == 300


def test_an_unknown_lag_passes() -> None:
    QueueGate(30, 1, 1).check(None)


@pytest.mark.parametrize(
    ("committed", "ends", "firsts", "lag"),
    [
        ({0: 10, 1: 20}, {0: 15, 1: 20}, {0: 0, 1: 0}, 5),
        ({0: 10}, {0: 15, 1: 20}, {0: 0, 1: 12}, 13),
        ({0: 10}, {0: 7}, {0: 0}, 0),
        ({}, {0: 15}, {0: 0}, None),
        (None, {0: 15}, {0: 0}, None),
        ({0: 10}, {}, {}, None),
    ],
)
def test_lag_is_what_nobody_has_committed(
    committed: dict[int, int] | None, ends: dict[int, int], firsts: dict[int, int], lag: int | None
) -> None:
    assert queue_lag(committed, ends, firsts) == lag
