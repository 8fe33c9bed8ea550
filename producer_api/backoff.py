"""How long to wait before Kafka is tried again."""

import random
from collections.abc import Callable, Iterator


def pauses(
    first_seconds: float = 0.1, longest_seconds: float = 2.0, jitter: Callable[[], float] = random.random
) -> Iterator[float]:
    """Yield pauses in seconds: doubling up to a bound, each shortened by up to a half so that processes spread."""
    pause = first_seconds
    while True:
        yield pause * (1 - jitter() / 2)
        pause = min(pause * 2, longest_seconds)
