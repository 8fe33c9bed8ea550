import os
from pathlib import Path

import pytest

from bench.journey.processor_time import Reading, machine_seconds, process_seconds, read_processor_time

TICKS = os.sysconf("SC_CLK_TCK")


def test_a_process_name_may_hold_blanks_and_brackets() -> None:
    head = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0"
    assert process_seconds(f"{head} {3 * TICKS} {2 * TICKS} {TICKS} 0 20 0 1") == 6.0


def test_idle_and_waiting_for_disks_is_not_busy() -> None:
    fields = [4 * TICKS, 0, TICKS, 100 * TICKS, 50 * TICKS, 0, 0, TICKS, 7 * TICKS, 0]
    assert machine_seconds("cpu  " + " ".join(map(str, fields)) + "\ncpu0 1 2 3") == 6.0


def test_a_process_that_began_in_between_counts_from_zero() -> None:
    used = Reading({"api": 5.0, "worker": 2.0}, 30.0).since(Reading({"api": 4.0, "gone": 1.0}, 20.0))
    assert used == Reading({"api": 1.0, "worker": 2.0}, 10.0)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has")
def test_this_process_is_found_and_a_dead_one_is_left_out() -> None:
    reading = read_processor_time({"self": os.getpid(), "nobody": 2**22 + 1})
    assert set(reading.processes) == {"self"}
    assert 0 < reading.processes["self"] <= reading.machine
