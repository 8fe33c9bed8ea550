"""One outcome under duplicates, zombies, holes and any interleaving that keeps the order of each writer."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.attempt import OUTSIDE, Attempt
from contracts.commands import Limit, VersionPlan
from contracts.events import (
    EVENT_CLASSES,
    Event,
    Phase,
    Reason,
    TaskAccepted,
    TaskCancelled,
    TaskCancelling,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
    TaskWaiting,
    VersionCompleted,
    VersionDelta,
    VersionFailed,
    VersionOutcome,
    VersionPhase,
    VersionReplaced,
    VersionStatus,
)
from contracts.lifecycle import Progress, TaskState, Verdict, fold, judge, reduce
from contracts.task import TaskId

TASK = TaskId("0" * 32)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
ACCEPTED = TaskAccepted(
    task_id=TASK,
    attempt=OUTSIDE,
    sequence=0,
    edition="e",
    school_level="high",
    item="subject",
    versions=tuple(VersionPlan(version=n, viewpoint=f"v{n}", title=f"제목 {n}") for n in (1, 2, 3)),
    limit=Limit(characters=10, bytes=30),
    accepted_at=NOW,
    start_deadline=NOW,
    end_deadline=NOW,
)
OUTCOMES = (VersionOutcome(version=1, status=VersionStatus.COMPLETED, text="끝", characters=1, bytes=3),)

versions = st.integers(1, 3)
words = st.text("가나다👨‍👩‍👧a", max_size=4)
steps = st.one_of(
    st.tuples(st.just(VersionPhase), st.fixed_dictionaries({"version": versions, "phase": st.sampled_from(Phase)})),
    st.tuples(
        st.just(VersionDelta), st.fixed_dictionaries({"version": versions, "offset": st.integers(0, 6), "text": words})
    ),
    st.tuples(st.just(VersionReplaced), st.fixed_dictionaries({"version": versions, "text": words})),
    st.tuples(
        st.just(VersionCompleted),
        st.fixed_dictionaries({"version": versions, "text": words, "characters": st.just(1), "bytes": st.just(3)}),
    ),
    st.tuples(st.just(VersionFailed), st.fixed_dictionaries({"version": versions, "reason": st.sampled_from(Reason)})),
    st.tuples(st.just(TaskWaiting), st.fixed_dictionaries({"reason": st.sampled_from(Reason)})),
    st.tuples(st.just(TaskCancelling), st.just({})),
)
endings = st.sampled_from(
    [
        (TaskSucceeded, {"versions": OUTCOMES, "ended_at": NOW}),
        (TaskFailed, {"reason": Reason.TIMEOUT, "ended_at": NOW}),
        (TaskCancelled, {"started": True, "ended_at": NOW}),
    ]
)
attempts = st.builds(Attempt, st.integers(1, 4), st.integers(1, 3))


@st.composite
def attempt_logs(draw: st.DrawFn, *, may_end: bool = True) -> list[Event]:
    """What one attempt writes, in its order, gap-free."""
    attempt = draw(attempts)
    body: list[tuple[Any, dict[str, Any]]] = [(TaskStarted, {}), *draw(st.lists(steps, max_size=8))]
    if may_end and draw(st.booleans()):
        body.append(draw(endings))
    return [
        cls(task_id=TASK, attempt=attempt, sequence=sequence, **fields) for sequence, (cls, fields) in enumerate(body)
    ]


@st.composite
def partition_logs(draw: st.DrawFn) -> list[Event]:
    """Attempts in any interleaving that keeps the order of each, behind `task.accepted`, with later repeats."""
    writers = draw(st.lists(attempt_logs(), min_size=1, max_size=3, unique_by=lambda log: log[0].attempt))
    log: list[Event] = [ACCEPTED]
    queues = [list(writer) for writer in writers]
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        log.append(queue.pop(0))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(log) - 1))
        log.insert(draw(st.integers(at + 1, len(log))), log[at])
    return log


def outcome(state: TaskState) -> TaskState:
    """A state without its statistics."""
    return replace(state, progress=replace(state.progress, ignored_count=0, hole_count=0))


@given(partition_logs())
def test_the_first_terminal_event_is_the_outcome(log: list[Event]) -> None:
    terminals = [event for event in log if event.terminal]
    state = fold(TASK, log)
    assert state.ended == bool(terminals)
    if terminals:
        cut = log.index(terminals[0]) + 1
        assert outcome(state) == outcome(fold(TASK, log[:cut]))
        assert f"task.{state.stage}" == terminals[0].type


@given(partition_logs(), st.data())
def test_a_record_repeated_later_changes_nothing(log: list[Event], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(log) - 1))
    repeated = [*log]
    repeated.insert(data.draw(st.integers(at + 1, len(log))), log[at])
    assert outcome(fold(TASK, repeated)) == outcome(fold(TASK, log))


@given(partition_logs(), attempt_logs(may_end=False))
def test_a_zombies_progress_changes_nothing(log: list[Event], zombie: list[Event]) -> None:
    state = fold(TASK, log)
    late = [event.model_copy(update={"attempt": OUTSIDE}) for event in zombie]
    for event in late:
        state = reduce(state, event)
    assert outcome(state) == outcome(fold(TASK, log))


@given(partition_logs())
def test_headers_alone_judge_as_the_whole_events_do(log: list[Event]) -> None:
    progress = Progress()
    kept: list[Event] = []
    for event in log:
        progress, verdict = judge(progress, event.attempt, event.sequence, terminal=event.terminal)
        if verdict is Verdict.APPLY:
            kept.append(event)
    assert progress == fold(TASK, log).progress
    # A client that is sent only what counts ends up where a reader of the whole log does.
    assert outcome(fold(TASK, kept)) == outcome(fold(TASK, log))


@given(partition_logs(), st.data())
def test_settled_versions_stay_until_the_end(log: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))
    before, after = fold(TASK, log[:cut]), fold(TASK, log)
    if not after.ended:
        for version in before.versions:
            assert not version.settled or after.version(version.version) == version


@given(st.lists(words, max_size=8), st.sets(st.integers(0, 7)))
def test_a_hole_never_makes_a_wrong_text(pieces: list[str], lost: set[int]) -> None:
    """With deltas missing, a text is a beginning of the true one."""
    offsets = [sum(map(len, pieces[:index])) for index in range(len(pieces))]
    deltas = [
        VersionDelta(task_id=TASK, attempt=Attempt(1, 1), sequence=index, version=1, offset=offset, text=piece)
        for index, (offset, piece) in enumerate(zip(offsets, pieces, strict=True))
        if index not in lost
    ]
    state = fold(TASK, [ACCEPTED, *deltas])
    assert "".join(pieces).startswith(state.version(1).text)
    if not lost & set(range(len(pieces))):
        assert state.version(1).text == "".join(pieces)


@given(partition_logs())
def test_the_reducer_is_total_and_keeps_its_input(log: list[Event]) -> None:
    state = TaskState(TASK)
    for event in log:
        before = copy.deepcopy(state)
        reduce(state, event)
        assert state == before
        state = reduce(state, event)


def test_every_event_has_a_type_of_its_own() -> None:
    types = [cls.model_fields["type"].default for cls in EVENT_CLASSES]
    assert len(set(types)) == len(types) == 13
