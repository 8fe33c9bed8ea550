from itertools import islice

from producer_api.backoff import pauses


def test_pauses_double_up_to_a_bound() -> None:
    assert list(islice(pauses(0.1, 1.0, jitter=lambda: 0.0), 6)) == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_processes_spread() -> None:
    assert list(islice(pauses(1.0, 4.0, jitter=lambda: 1.0), 4)) == [0.5, 1.0, 2.0, 2.0]
