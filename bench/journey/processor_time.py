"""Processor time of processes and of the machine, from /proc (proc(5))."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds of processor time used so far: of each named process, and of the whole machine."""

    processes: Mapping[str, float]
    machine: float

    def since(self, earlier: "Reading") -> "Reading":
        """Return what was used between two readings; a process that began in between counts from zero."""
        used = {name: seconds - earlier.processes.get(name, 0.0) for name, seconds in self.processes.items()}
        return Reading(used, self.machine - earlier.machine)


def read_processor_time(pids: Mapping[str, int], proc: Path = _PROC) -> Reading:
    """Read now; a process that has ended is left out."""
    found: dict[str, float] = {}
    for name, pid in pids.items():
        try:
            found[name] = process_seconds((proc / str(pid) / "stat").read_text())
        except OSError:
            continue
    return Reading(found, machine_seconds((proc / "stat").read_text()))


def process_seconds(stat: str) -> float:
    """Read user and system time of a process and of the children it waited for from its `stat` line."""
    fields = stat.rpartition(")")[2].split()  # a name can hold blanks and brackets
    return sum(int(ticks) for ticks in fields[11:15]) / _ticks_per_second()


def machine_seconds(stat: str) -> float:
    """Read the busy time of all processors from the first line of /proc/stat: all but idle and iowait."""
    ticks = [int(field) for field in stat.splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _ticks_per_second()


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")
