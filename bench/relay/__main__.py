"""`python -m bench.relay`: measure the relay against the floor and its peers; a table, JSON and plots come of it."""

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.relay.child import ChildFailed
from bench.relay.contestant import CONTESTANTS, Contestant
from bench.relay.measurement import Measurement, summarise
from bench.relay.plot import write_plots
from bench.relay.programs import ProgramsMissing, build_programs
from bench.relay.result import write_results
from bench.relay.run import Arena, Cores, measure
from bench.relay.table import line_of, tables
from bench.relay.workload import WORKLOADS, Steady, Workload, at_load, quick
from deploy.local.broker import Broker
from deploy.local.errors import LocalError
from deploy.local.keys import keys_in

RESULTS = Path("bench/results")
_FULL = ("w1a", "w1b", "w1c", "w1d", "w1e", "w2", "w3", "w4a", "w4b", "w4c", "w4d", "w5", "w5x", "load10", "load50")
_WITHOUT_PEERS = ("w5", "w5x", "load10", "load50")
_QUICK = ("w1b", "w2", "w4a")
_QUICK_CONTESTANTS = ("floor", "ours")
_SHARES = {"load10": 0.1, "load50": 0.5}
_PRIORITY = -15
_FULL_SECONDS = 40 * 60.0
_QUICK_SECONDS = 3 * 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; exit status 1 when a contestant lost, repeated or reordered an event."""
    options = _parse(arguments)
    try:
        programs = build_programs()
        contestants = _contestants(options.contestants)
        _raise_file_limit()
        if options.priority:
            _take_precedence()
        cores = Cores(None, None) if options.unpinned else _take_cores()
        with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder, _broker(Path(folder), options) as bootstrap:
            arena = Arena(bootstrap, keys_in(Path(folder) / "keys"), programs, cores)
            measurements = _measure_all(arena, contestants, options)
    except (LocalError, ProgramsMissing, ChildFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    summaries = summarise(measurements)
    print(tables(summaries))
    if results := options.results or (None if options.quick else RESULTS):
        write_results(summaries, results, quick=options.quick)
        write_plots(summaries, results)
    return 1 if any(summary.faults for summary in summaries if summary.contestant == "ours") else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three workloads, short windows, at most three minutes")
    parser.add_argument("--workload", type=_names(WORKLOADS), help=f"with commas, of {', '.join(WORKLOADS)}")
    parser.add_argument("--contestants", type=_names(CONTESTANTS), help=f"with commas, of {', '.join(CONTESTANTS)}")
    parser.add_argument("--rounds", type=int, help="default 3; quick: 1")
    parser.add_argument("--peer-rounds", type=int, default=1, help="rounds of the peers, or a full run takes hours")
    parser.add_argument("--unpinned", action="store_true", help="leave the choice of cores to the kernel")
    parser.add_argument("--results", type=Path, help=f"folder for JSON and plots; full runs default to {RESULTS}")
    parser.add_argument("--limit", type=float, help="seconds after which no further run is begun")
    parser.add_argument("--priority", action="store_true", help="(root) run before other processes of the machine")
    options = parser.parse_args(arguments)
    options.workload = options.workload or (_QUICK if options.quick else _FULL)
    options.contestants = options.contestants or (_QUICK_CONTESTANTS if options.quick else tuple(CONTESTANTS))
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.limit = options.limit or (_QUICK_SECONDS if options.quick else _FULL_SECONDS)
    return options


def _names(known: Mapping[str, object]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"not known: {', '.join(unknown)}")
        return names

    return parse


def _contestants(names: Sequence[str]) -> list[Contestant]:
    """Return those that can run here; name the others with the reason."""
    able = []
    for contestant in (CONTESTANTS[name] for name in names):
        if reason := contestant.missing():
            print(f"left out: {contestant.name}: {reason}")
        else:
            able.append(contestant)
    return able


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _take_precedence() -> None:
    """Ask the kernel for precedence, which it may give by process or by session."""
    os.nice(_PRIORITY)
    with contextlib.suppress(PermissionError):  # already the leader of a session
        os.setsid()
    _prefer_session(os.getpid())


def _prefer_session(pid: int) -> None:
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text(str(_PRIORITY))


def _take_cores() -> Cores:
    """Give the server one core and everything else, this process included, the others; with one core, nothing."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return Cores(None, None)
    os.sched_setaffinity(0, set(available[1:]))
    return Cores(available[0], None)


@contextlib.contextmanager
def _broker(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    with Broker(folder / "kafka", heap_mb=512) as broker:
        if options.priority and broker.pid:
            _prefer_session(broker.pid)
        yield broker.bootstrap


def _measure_all(arena: Arena, contestants: Sequence[Contestant], options: argparse.Namespace) -> list[Measurement]:
    """Alternate: in each round every workload, in each workload every contestant, the first one another each time."""
    until = time.monotonic() + options.limit
    print("warming the broker up", flush=True)
    _measure(arena, contestants[0], "warm-up", Steady("warm-up", 1000, 10, window_seconds=5), "warm-up")
    workloads = _workloads(arena, contestants, options)
    found: list[Measurement] = []
    for number in range(options.rounds):
        for name, workload in workloads.items():
            for contestant in _rotated(contestants, number):
                if contestant.peer and (number >= options.peer_rounds or name in _WITHOUT_PEERS):
                    continue
                if time.monotonic() > until:
                    print("the time is over: the rest is left out")
                    return found
                label = f"{name}-{contestant.name}-{number}"
                if measurement := _measure(arena, contestant, name, workload, label):
                    found.append(measurement)
    return found


def _measure(arena: Arena, contestant: Contestant, name: str, workload: Workload, label: str) -> Measurement | None:
    """Measure; a run that fails is told and left out, the others go on."""
    try:
        measurement = measure(arena, contestant, name, workload, label)
    except ChildFailed as error:
        print(f"{label}: failed: {error}", flush=True)
        return None
    if measurement:
        print(f"{label}: {line_of(measurement)}", flush=True)
    return measurement


def _rotated(contestants: Sequence[Contestant], number: int) -> list[Contestant]:
    turn = number % len(contestants)
    return [*contestants[turn:], *contestants[:turn]]


def _workloads(arena: Arena, contestants: Sequence[Contestant], options: argparse.Namespace) -> dict[str, Workload]:
    """Return the chosen workloads; those at a share of a core's load get their rate from a run at 20,000 events/s."""
    chosen = {name: quick(WORKLOADS[name]) if options.quick else WORKLOADS[name] for name in options.workload}
    shares = {name: _SHARES[name] for name in chosen if name in _SHARES}
    if not shares:
        return chosen
    by_name = {contestant.name: contestant for contestant in contestants}
    probe = Steady("probe", 2000, 10, window_seconds=6)
    measurement = _measure(arena, by_name.get("ours", contestants[0]), "probe", probe, "probe")
    if measurement is None:
        return {name: workload for name, workload in chosen.items() if name not in shares}
    capacity = measurement.figures["events_per_second"] / measurement.figures["cpu_share"]
    print(f"one core carries about {capacity:.0f} events a second")
    for name, share in shares.items():
        workload = chosen[name]
        assert isinstance(workload, Steady), "the table above"
        chosen[name] = at_load(workload, share, capacity)
    return chosen


if __name__ == "__main__":
    sys.exit(main())
