"""What a process and its children use: CPU seconds and memory, from /proc."""

import os
import re
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def family(pid: int) -> list[int]:
    """Return the process and its descendants."""
    found = [pid]
    for parent in found:
        children = _PROC / str(parent) / "task" / str(parent) / "children"
        found.extend(int(child) for child in children.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, its threads and its children; resolution 1/100 s."""
    return sum(parse_cpu_ticks((_PROC / str(member) / "stat").read_text()) for member in family(pid)) / _TICKS


def parse_cpu_ticks(stat: str) -> int:
    """Return user and system ticks of a line of /proc/PID/stat; the command's name may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def pss_kb(pid: int) -> int:
    """Return the proportional set size of a process and its children."""
    return sum(parse_pss((_PROC / str(member) / "smaps_rollup").read_text()) for member in family(pid))


def parse_pss(rollup: str) -> int:
    """Return the kilobytes of /proc/PID/smaps_rollup."""
    match = _PSS.search(rollup)
    assert match is not None, "the kernel's form"
    return int(match[1])


def settle(pid: int, timeout_seconds: float = 20.0) -> None:
    """Return when the process has been idle for half a second."""
    until = time.monotonic() + timeout_seconds
    before = cpu_seconds(pid)
    while time.monotonic() < until:
        time.sleep(0.5)
        now = cpu_seconds(pid)
        if now - before <= 0.03:
            return
        before = now
