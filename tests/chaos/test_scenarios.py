"""The scenarios in small: what `python -m tests.chaos.scenarios` does with larger loads."""

from functools import partial
from pathlib import Path

import pytest

from tests.chaos.scenarios import backlog, joining, play, rolling

pytestmark = pytest.mark.timeout(300)


async def test_workers_that_are_restarted_in_turn_end_nothing_twice_and_call_nothing_twice(
    kafka: str, tmp_path: Path
) -> None:
    await play(partial(rolling, task_count=20), kafka, tmp_path)


async def test_a_worker_that_joins_makes_no_task_of_a_partition_that_stays_begin_again(
    kafka: str, tmp_path: Path
) -> None:
    await play(partial(joining, task_count=24, seconds=8), kafka, tmp_path)


async def test_many_waiting_requests_take_no_memory_and_the_last_is_cancelled_at_once(
    kafka: str, tmp_path: Path
) -> None:
    await play(partial(backlog, task_count=3000), kafka, tmp_path)
