"""Judge a run from the topics and the simulator's call log alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.codec import decode_event_value, decode_result, read_header, task_id_of
from contracts.errors import RecordError
from contracts.events import (
    TaskSucceeded,
    TerminalEvent,
    VersionCompleted,
    VersionFailed,
    VersionOutcome,
    VersionStatus,
)
from contracts.lifecycle import Progress, TaskState, Verdict, judge, reduce
from tests.chaos.drafts import Disturbances, Version, Why, made_again
from tests.chaos.load import Accepted
from tests.chaos.log_reader import Seen


@dataclass(slots=True)
class TaskHistory:
    """What the log tells of one task."""

    state: TaskState
    progress: Progress = field(default_factory=Progress)
    terminal: TerminalEvent | None = None
    terminal_at: float = 0.0
    first_at: float = 0.0
    completed: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    settled_at: dict[int, float] = field(default_factory=dict)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    second_terminal_count: int = 0
    attempts: set[str] = field(default_factory=set)


class Histories:
    """All tasks of an events topic, folded as records come."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskHistory] = {}
        self.unreadable_count = 0
        self.generations: dict[int, float] = {}
        """When the log first held a record of each assignment."""

    def take(self, records: Iterable[Seen]) -> None:
        for record in records:
            try:
                self._take(record)
            except RecordError:
                self.unreadable_count += 1

    def _take(self, record: Seen) -> None:
        task_id, header = task_id_of(record.key), read_header(record.headers)
        task = self.tasks.setdefault(task_id, TaskHistory(TaskState(task_id), first_at=record.at))
        event = decode_event_value(header.type, record.value)
        self.generations.setdefault(header.attempt.generation, record.at)
        task.progress, verdict = judge(task.progress, header.attempt, header.sequence, terminal=header.terminal)
        task.verdicts[verdict] += 1
        task.attempts.add(str(header.attempt))
        if header.terminal and verdict is not Verdict.APPLY:
            task.second_terminal_count += 1
        task.state = reduce(task.state, event)
        if isinstance(event, VersionCompleted):
            task.completed[event.version].append(event.text)
        if isinstance(event, VersionCompleted | VersionFailed) and verdict is Verdict.APPLY:
            task.settled_at.setdefault(event.version, record.at)
        if isinstance(event, TerminalEvent) and task.terminal is None:
            task.terminal, task.terminal_at = event, record.at

    def unfinished(self, accepted: Sequence[Accepted]) -> list[str]:
        """Return the accepted tasks without a terminal event."""
        return [task.task_id for task in accepted if not self._ended(task.task_id)]

    def _ended(self, task_id: str) -> bool:
        return task_id in self.tasks and self.tasks[task_id].terminal is not None


@dataclass(frozen=True)
class Report:
    """The table of one run; every list names tasks."""

    accepted: int
    terminal: Mapping[str, int]
    lost: list[str]
    stuck: list[str]
    double: list[str]
    false_success: list[str]
    result_missing: list[str]
    result_wrong: list[str]
    disagreement: list[str]
    second_terminal_count: int
    duplicate_count: int
    zombie_count: int
    after_end_count: int
    unreadable_count: int
    drafts_per_version: float
    made_again: Mapping[Why, int]
    """Drafts that were made again, by why."""
    unexplained: list[str]
    """Versions that were made again although nothing had happened since they were begun."""
    in_flight_count: int
    """Versions that were begun and not in the log when a worker died, stopped or came back, or a broker went."""
    longest_after_fault_seconds: float
    deaths: Sequence[str]
    """Processes that ended although nobody shot at them; they were started again."""

    @property
    def broken(self) -> list[str]:
        """Return the promises that this run broke."""
        named = {
            "lost": self.lost,
            "stuck": self.stuck,
            "double": self.double,
            "false success": self.false_success,
            "result missing": self.result_missing,
            "result wrong": self.result_wrong,
            "readers disagree": self.disagreement,
            "made again without a cause": self.unexplained,
        }
        broken = [f"{name}: {len(tasks)}" for name, tasks in named.items() if tasks]
        if paid_twice := self.made_again.get(Why.PAID_TWICE):
            broken.append(f"paid twice: {paid_twice}")
        if self.again_count > self.in_flight_count:
            broken.append(f"{self.again_count} drafts made again, {self.in_flight_count} versions were in flight")
        return broken

    @property
    def examples(self) -> list[str]:
        """Name a few of the tasks and versions that broke a promise."""
        named = (self.lost, self.stuck, self.double, self.false_success, self.result_missing, self.result_wrong)
        return [name for names in (*named, self.disagreement, self.unexplained) for name in names[:3]]

    @property
    def again_count(self) -> int:
        """How many drafts were made again."""
        return sum(self.made_again.values())

    def lines(self) -> list[str]:
        """Return the table as text."""
        rows = {
            "accepted": self.accepted,
            "terminal": ", ".join(f"{count} {name}" for name, count in sorted(self.terminal.items())) or "0",
            "lost": len(self.lost),
            "stuck": len(self.stuck),
            "double": len(self.double),
            "false successes": len(self.false_success),
            "results missing / wrong": f"{len(self.result_missing)} / {len(self.result_wrong)}",
            "readers that disagree": len(self.disagreement),
            "physical second terminals": self.second_terminal_count,
            "physical duplicates": self.duplicate_count,
            "zombie records ignored": self.zombie_count,
            "records after the end": self.after_end_count,
            "drafts per version": f"{self.drafts_per_version:.3f}",
            "drafts made again": self._again_line(),
            "versions in flight at disturbances": self.in_flight_count,
            "longest to terminal after a fault": f"{self.longest_after_fault_seconds:.1f} s",
            "processes that ended by themselves": len(self.deaths),
        }
        return [f"  {name:<34} {value}" for name, value in rows.items()]

    def _again_line(self) -> str:
        parts = ", ".join(f"{self.made_again.get(why, 0)} {why}" for why in Why)
        return f"{self.again_count} ({parts})"


def check(
    accepted: Sequence[Accepted],
    histories: Histories,
    results: Iterable[Seen],
    calls: Sequence[Mapping[str, Any]],
    faults: Sequence[float],
    disturbances: Disturbances,
    committed: Mapping[str, bool],
    deaths: Sequence[str] = (),
) -> Report:
    """Compare what was promised with what the topics hold; `committed` says which requests nobody will run again."""
    tasks = histories.tasks
    unfinished = histories.unfinished(accepted)
    by_task = _results(results)
    ended = {name: task for name, task in tasks.items() if task.terminal is not None}
    verdicts = sum((task.verdicts for task in tasks.values()), Counter[Verdict]())
    finished = calls_completed(calls)
    drafts = Counter((call["task_id"], call["version"]) for call in calls if call["purpose"] == "draft")
    settled = settled_at(tasks)
    again = made_again(calls, settled)
    disturbances = replace(disturbances, assignments=list(histories.generations.values()))
    return Report(
        accepted=len(accepted),
        terminal=Counter(task.state.stage.value for task in ended.values()),
        lost=[name for name in unfinished if committed.get(name, False)],
        stuck=[name for name in unfinished if not committed.get(name, False)],
        double=[name for name in ended if len(by_task[name]) > 1],
        false_success=[name for name, task in ended.items() if _is_false(task, finished, name)],
        result_missing=[name for name in ended if not by_task[name]],
        result_wrong=[name for name, task in ended.items() if by_task[name] and not _same(by_task[name][0], task)],
        disagreement=[name for name, task in tasks.items() if task.progress != task.state.progress],
        second_terminal_count=sum(task.second_terminal_count for task in tasks.values()),
        duplicate_count=verdicts[Verdict.DUPLICATE],
        zombie_count=verdicts[Verdict.ZOMBIE],
        after_end_count=verdicts[Verdict.AFTER_END],
        unreadable_count=histories.unreadable_count,
        drafts_per_version=sum(drafts.values()) / max(1, len(drafts)),
        made_again=Counter(each.why for each in again),
        unexplained=[f"{each.version[0]}/{each.version[1]}" for each in again if not disturbances.explain(each)],
        in_flight_count=disturbances.versions_in_flight(calls, settled),
        longest_after_fault_seconds=_longest_after(faults, accepted, tasks),
        deaths=deaths,
    )


def calls_completed(calls: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return the versions for which the model finished an answer at least once."""
    return {(call["task_id"], str(call["version"])) for call in calls if call["outcome"] == "completed"}


def settled_at(tasks: Mapping[str, TaskHistory]) -> dict[Version, float]:
    """Return when the log first held each version that it holds."""
    return {(name, version): at for name, task in tasks.items() for version, at in task.settled_at.items()}


def _results(records: Iterable[Seen]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        result = decode_result(record.value)
        found[result.task_id].append((result, record))
    return found


def _is_false(task: TaskHistory, finished: set[tuple[str, str]], name: str) -> bool:
    """A success is false when a text was not completed in the log, is empty, too long, or no model finished it."""
    if not isinstance(task.terminal, TaskSucceeded):
        return False
    good = [outcome for outcome in task.terminal.versions if outcome.status is VersionStatus.COMPLETED]
    return not good or any(not _is_honest(outcome, task, finished, name) for outcome in good)


def _is_honest(outcome: VersionOutcome, task: TaskHistory, finished: set[tuple[str, str]], name: str) -> bool:
    limit = task.state.limit
    return (
        outcome.text in task.completed[outcome.version]
        and outcome.text.strip() != ""
        and outcome.bytes == len(outcome.text.encode())
        and (limit is None or outcome.bytes <= limit.bytes)
        and (name, str(outcome.version)) in finished
    )


def _same(found: tuple[Any, Seen], task: TaskHistory) -> bool:
    result, _ = found
    return task.terminal is not None and (
        result.stage == task.state.stage
        and result.versions == task.terminal.versions
        and result.usage == task.terminal.usage
        and result.ended_at == task.terminal.ended_at
    )


def _longest_after(faults: Sequence[float], accepted: Sequence[Accepted], tasks: Mapping[str, TaskHistory]) -> float:
    longest = 0.0
    for fault in faults:
        for submitted in accepted:
            task = tasks.get(submitted.task_id)
            if task is not None and submitted.at <= fault < task.terminal_at:
                longest = max(longest, task.terminal_at - fault)
    return longest
