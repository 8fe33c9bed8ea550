"""The use case from a request to its one terminal event, in virtual time."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from contracts.attempt import Attempt
from contracts.cursor import Position
from contracts.events import (
    Phase,
    Reason,
    TaskCancelled,
    TaskCancelling,
    TaskExpired,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
    TaskWaiting,
    Usage,
    VersionCompleted,
    VersionDelta,
    VersionFailed,
    VersionOutcome,
    VersionPhase,
    VersionReplaced,
    VersionStatus,
)
from contracts.lifecycle import Stage, TaskState, VersionStage, VersionState, fold
from stream_processors.dispatcher import Known
from stream_processors.emitter import Emitter
from stream_processors.errors import TaskEnded
from stream_processors.limiter import Limits
from stream_processors.model import Purpose
from stream_processors.retry import RetryPolicy
from student_records.byte_count import count_bytes
from tests.support.clock import VirtualTimeLoop, virtual_time
from tests.support.fake_model import CLEAN_TEXT, FakeModel, Script, failing
from tests.support.generation import ORIGIN, Generation, a_request
from tests.support.memory_publisher import MemoryPublisher

DRAFTING, CHECKING, FITTING = Phase
MENDABLE_TEXT = CLEAN_TEXT + " 유튜브 영상을 보고 알게 된 점을 정리함."
MENDED_TEXT = CLEAN_TEXT + " 동영상 플랫폼 영상을 보고 알게 된 점을 정리함."
FORBIDDEN_TEXT = "토익 900점을 받음. 전교 1등을 함. 수학 경시대회에서 금상을 받아 크게 기뻐함."
MANY_SENTENCES = " ".join([CLEAN_TEXT] * 8)
ENDLESS_SENTENCE = "자료를 모아 표로 정리하고 " * 100 + "설명함."


def now() -> float:
    return asyncio.get_running_loop().time()


def drafts(text: str, **more: float) -> FakeModel:
    return FakeModel(default=Script(text, **more))  # type: ignore[arg-type]  # the numbers of a script


def phases(generation: Generation, version: int = 1) -> list[Phase]:
    return [event.phase for event in generation.publisher.of(VersionPhase, version=version)]


def outcome(generation: Generation, version: int = 1) -> VersionOutcome:
    return next(outcome for outcome in generation.terminal.versions if outcome.version == version)


def assert_sound(generation: Generation) -> None:
    """One terminal event, at the end; no hole; and the log says of each version what the terminal event says."""
    events = generation.publisher.events
    assert [event.terminal for event in events] == [False] * (len(events) - 1) + [True]
    assert generation.state.progress.hole_count == generation.state.progress.ignored_count == 0
    before = fold(generation.request.task_id, events[:-1])
    assert [outcome.version for outcome in generation.terminal.versions] == [
        plan.version for plan in generation.request.versions
    ]
    for told in generation.terminal.versions:
        known = before.version(told.version)
        assert known.text == told.text
        assert known.settled == (told.status is not VersionStatus.UNFINISHED)
        if known.settled:
            assert (known.reason, known.usage, known.findings) == (told.reason, told.usage, told.findings)
            assert (known.characters, known.bytes) == (told.characters, told.bytes)
    assert generation.terminal.usage == sum((told.usage for told in generation.terminal.versions), start=Usage())


# The good way.


@virtual_time
async def test_three_versions_grow_at_the_same_time_and_the_task_succeeds() -> None:
    generation = Generation(drafts(CLEAN_TEXT))
    position = await generation.run()
    assert position.offset == len(generation.publisher.records) - 1
    assert isinstance(generation.terminal, TaskSucceeded)
    assert not generation.terminal.degraded
    assert_sound(generation)
    order = [event.version for event in generation.publisher.of(VersionDelta)]
    assert [set(order[first : first + 3]) for first in range(0, 24, 3)] == [{1, 2, 3}] * 8
    for version in (1, 2, 3):
        assert phases(generation, version) == [DRAFTING, CHECKING, FITTING]
        assert outcome(generation, version).text == CLEAN_TEXT
        assert outcome(generation, version).bytes == count_bytes(CLEAN_TEXT)


@virtual_time
async def test_the_first_words_are_published_as_soon_as_they_come() -> None:
    generation = Generation(drafts(CLEAN_TEXT, first_seconds=0.5, piece_seconds=5))
    running = generation.begin()
    await generation.publisher.wait_for(VersionDelta)
    assert now() == 0.5
    await running


@virtual_time
async def test_no_call_begins_before_kafka_has_the_record_that_it_begins() -> None:
    publisher = MemoryPublisher(seconds=60)
    model = FakeModel().plays(Script(FORBIDDEN_TEXT)).plays(Script(), purpose=Purpose.REWRITE)
    await Generation(model, a_request(version_count=1), publisher).run()
    assert [call.purpose for call in model.calls] == [Purpose.DRAFT, Purpose.REWRITE]
    told = [
        published + 60
        for published, event in zip(publisher.times, publisher.events, strict=True)
        if isinstance(event, VersionPhase)
    ]
    assert model.started_at == told[:2]


@virtual_time
async def test_each_version_has_its_own_viewpoint_and_the_notes_only_as_material() -> None:
    generation = Generation(model := FakeModel(), a_request(notes="농도를 바꾸어 실험함."))
    await generation.run()
    for plan in generation.request.versions:
        (call,) = model.calls_of(plan.version)
        assert plan.title in call.prompt.instructions
        assert "농도를 바꾸어 실험함." in call.prompt.input
        assert "농도를" not in call.prompt.instructions


# Checking and fitting.


@virtual_time
async def test_what_rules_can_mend_costs_no_call() -> None:
    generation = Generation(model := drafts(MENDABLE_TEXT))
    await generation.run()
    assert outcome(generation).text == MENDED_TEXT
    assert [event.text for event in generation.publisher.of(VersionReplaced, version=1)] == [MENDED_TEXT]
    assert len(model.calls) == 3
    assert_sound(generation)


@virtual_time
async def test_what_rules_cannot_mend_is_written_anew_and_checked_again() -> None:
    model = drafts(FORBIDDEN_TEXT).plays(Script(MENDABLE_TEXT), purpose=Purpose.REWRITE)
    generation = Generation(model)
    await generation.run()
    assert outcome(generation).text == MENDED_TEXT
    assert phases(generation) == [DRAFTING, CHECKING, CHECKING, FITTING]
    (rewrite,) = model.calls_of(1, Purpose.REWRITE)
    assert "토익" in rewrite.prompt.instructions
    assert FORBIDDEN_TEXT in rewrite.prompt.input
    assert outcome(generation).usage.call_count == 2
    assert outcome(generation).usage.discarded_call_count == 0


@virtual_time
async def test_forbidden_content_that_stays_fails_the_version_and_is_told() -> None:
    model = FakeModel().plays(Script(FORBIDDEN_TEXT), version=2)
    model.plays(Script(FORBIDDEN_TEXT), purpose=Purpose.REWRITE)
    generation = Generation(model)
    await generation.run()
    assert isinstance(generation.terminal, TaskSucceeded)
    assert generation.terminal.degraded
    failed = outcome(generation, 2)
    assert (failed.status, failed.reason, failed.text) == (
        VersionStatus.FAILED,
        Reason.FORBIDDEN_CONTENT,
        FORBIDDEN_TEXT,
    )
    assert "토익" in [finding.matched for finding in failed.findings]
    assert len(model.calls_of(2)) == 2
    assert_sound(generation)


@virtual_time
async def test_whole_sentences_go_without_a_call_when_that_is_enough() -> None:
    generation = Generation(model := drafts(MANY_SENTENCES))
    await generation.run()
    text = outcome(generation).text
    assert 1300 < outcome(generation).bytes <= 1500
    assert text.endswith(".")
    assert phases(generation) == [DRAFTING, CHECKING, FITTING, CHECKING, FITTING]
    assert len(model.calls) == 3
    assert_sound(generation)


@virtual_time
async def test_a_sentence_too_long_by_itself_is_shortened_by_the_model_and_checked_again() -> None:
    model = drafts(ENDLESS_SENTENCE).plays(Script(MENDABLE_TEXT), purpose=Purpose.SHORTEN)
    generation = Generation(model)
    await generation.run()
    assert outcome(generation).text == MENDED_TEXT
    assert phases(generation) == [DRAFTING, CHECKING, FITTING, CHECKING, FITTING]
    assert_sound(generation)


@virtual_time
async def test_after_two_shortenings_it_is_too_long_and_its_text_is_kept() -> None:
    model = drafts(ENDLESS_SENTENCE).plays(Script(ENDLESS_SENTENCE), purpose=Purpose.SHORTEN)
    generation = Generation(model)
    await generation.run()
    assert isinstance(generation.terminal, TaskFailed)
    assert generation.terminal.reason is Reason.TOO_LONG
    assert outcome(generation).text == ENDLESS_SENTENCE
    assert len(model.calls_of(1, Purpose.SHORTEN)) == 2
    assert_sound(generation)


@virtual_time
async def test_what_a_model_writes_around_its_text_does_not_stay() -> None:
    generation = Generation(drafts(f"다음은 요청하신 초안입니다.\n\n**{CLEAN_TEXT}**"))
    await generation.run()
    assert outcome(generation).text == CLEAN_TEXT
    assert_sound(generation)


@pytest.mark.parametrize("useless", ["네.", "\u200b" * 50, "Here is the text you have asked for. " * 10, "```\n```"])
@virtual_time
async def test_hardly_any_korean_text_counts_as_a_failed_call(useless: str) -> None:
    model = FakeModel().plays(Script(useless, piece_count=1), Script(CLEAN_TEXT))
    generation = Generation(model)
    await generation.run()
    assert outcome(generation).text == CLEAN_TEXT
    assert outcome(generation).usage.discarded_call_count == 1
    assert_sound(generation)


@virtual_time
async def test_a_text_that_tells_the_instructions_back_counts_as_a_failed_call() -> None:
    rule = "관찰 기록에 있는 사실만 쓰고, 없는 사실이나 추측, 평가를 더하지 않습니다."
    model = FakeModel().plays(Script(f"{CLEAN_TEXT} {rule}"), Script(CLEAN_TEXT))
    generation = Generation(model)
    await generation.run()
    assert rule in model.calls[0].prompt.instructions
    assert outcome(generation).text == CLEAN_TEXT
    assert outcome(generation).usage.discarded_call_count == 1


# Failures and retries.


@virtual_time
async def test_a_draft_that_dies_midway_is_taken_back_before_the_next_begins() -> None:
    model = FakeModel().plays(failing(Reason.TRUNCATED, after=3), Script(CLEAN_TEXT), version=1)
    generation = Generation(model)
    await generation.run()
    assert outcome(generation).text == CLEAN_TEXT
    (taken_back,) = generation.publisher.of(VersionReplaced, version=1)
    assert taken_back.text == ""
    deltas = generation.publisher.of(VersionDelta, version=1)
    assert "".join(delta.text for delta in deltas if delta.sequence > taken_back.sequence) == CLEAN_TEXT
    usage = outcome(generation).usage
    assert (usage.call_count, usage.discarded_call_count) == (2, 1)
    assert usage.discarded_tokens > 0
    assert_sound(generation)


@virtual_time
async def test_one_failed_version_leaves_the_others_alone() -> None:
    generation = Generation(FakeModel().plays(failing(Reason.REFUSED), version=2))
    await generation.run()
    assert isinstance(generation.terminal, TaskSucceeded)
    assert generation.terminal.degraded
    assert [told.status.value for told in generation.terminal.versions] == ["completed", "failed", "completed"]
    assert outcome(generation, 2).reason is Reason.REFUSED
    assert_sound(generation)


@virtual_time
async def test_when_all_fail_the_most_telling_reason_is_the_tasks() -> None:
    model = FakeModel()
    model.plays(failing(Reason.OVERLOADED), version=1).plays(failing(Reason.REFUSED), version=2)
    model.plays(failing(Reason.INVALID_REQUEST), version=3)
    generation = Generation(model, retry=RetryPolicy(call_budget=2))
    await generation.run()
    assert isinstance(generation.terminal, TaskFailed)
    assert generation.terminal.reason is Reason.INVALID_REQUEST
    assert [told.reason for told in generation.terminal.versions] == [
        Reason.BUDGET_EXHAUSTED,
        Reason.REFUSED,
        Reason.INVALID_REQUEST,
    ]
    assert generation.state.stage is Stage.FAILED
    assert_sound(generation)


@virtual_time
async def test_a_version_makes_no_more_calls_than_its_budget() -> None:
    model = drafts(ENDLESS_SENTENCE).plays(
        failing(Reason.OVERLOADED), failing(Reason.OVERLOADED), Script(ENDLESS_SENTENCE)
    )
    model.plays(failing(Reason.TIMEOUT), Script(ENDLESS_SENTENCE), purpose=Purpose.SHORTEN)
    generation = Generation(model, a_request(version_count=1), retry=RetryPolicy(call_budget=4))
    await generation.run()
    assert len(model.calls) == 4
    assert isinstance(generation.terminal, TaskFailed)
    assert generation.terminal.reason is Reason.BUDGET_EXHAUSTED
    assert outcome(generation).text == ENDLESS_SENTENCE
    assert outcome(generation).usage.discarded_call_count == 3


@virtual_time
async def test_a_pause_that_the_server_asks_for_is_shown_and_kept_by_all_versions() -> None:
    model = FakeModel().plays(failing(Reason.RATE_LIMITED, retry_after_seconds=20), Script(CLEAN_TEXT), version=1)
    generation = Generation(model, limits=Limits(concurrent_call_count=1))
    running = generation.begin()
    waiting = await generation.publisher.wait_for(TaskWaiting, reason=Reason.RATE_LIMITED)
    assert waiting.until is not None
    assert (waiting.until - generation.services.clock.now()).total_seconds() >= 19.9
    before = generation.state.waiting
    assert before is not None
    await running
    assert min(model.started_at[1:]) >= 20.5
    assert generation.state.waiting is None
    assert_sound(generation)


@virtual_time
async def test_a_pause_longer_than_the_task_is_not_waited_for() -> None:
    generation = Generation(FakeModel().plays(failing(Reason.RATE_LIMITED, retry_after_seconds=3600)))
    await generation.run()
    assert isinstance(generation.terminal, TaskFailed)
    assert generation.terminal.reason is Reason.RATE_LIMITED
    assert now() < 2


@virtual_time
async def test_another_tasks_pause_longer_than_this_task_fails_it_at_once() -> None:
    generation = Generation(model := FakeModel())
    generation.services.limiter.hold(3000)
    await generation.run()
    assert isinstance(generation.terminal, TaskFailed)
    assert generation.terminal.reason is Reason.RATE_LIMITED
    assert model.calls == []


@virtual_time
async def test_versions_that_wait_for_their_turn_say_so_and_go_on() -> None:
    generation = Generation(FakeModel(), limits=Limits(concurrent_call_count=1))
    await generation.run()
    assert sorted(waiting.version or 0 for waiting in generation.publisher.of(TaskWaiting)) == [2, 3]
    assert isinstance(generation.terminal, TaskSucceeded)
    assert phases(generation, 3) == [DRAFTING, DRAFTING, CHECKING, FITTING]
    assert_sound(generation)


async def break_off(generation: Generation) -> None:
    """Make an attempt whose worker dies in mid-stream."""
    running = generation.begin()
    await generation.publisher.wait_for(VersionDelta, attempt=Attempt(generation.attempt_count, 1))
    running.cancel()
    await asyncio.wait([running])


@virtual_time
async def test_what_an_earlier_attempt_settles_before_the_new_one_has_its_place_is_not_paid_for_again() -> None:
    generation = Generation(model := FakeModel(), a_request(version_count=2))
    zombie = Emitter(generation.publisher, generation.request.task_id, Attempt(1, 0), ORIGIN)

    async def recall(position: Position | None) -> Known:
        assert position is not None
        assert [event.type for event in generation.publisher.events][position.offset] == "task.started"
        return Known(generation.publisher.state(generation.request.task_id), draft_counts={2: 1})

    generation.recall = recall
    await zombie.emit(TaskStarted)
    running = generation.begin()  # with what the log tells now
    await (await zombie.emit(VersionCompleted, version=1, text=CLEAN_TEXT, characters=1, bytes=3))
    await zombie.abandon()
    await running
    assert isinstance(generation.terminal, TaskSucceeded)
    assert model.calls_of(1) == []
    assert [outcome.usage.call_count for outcome in generation.terminal.versions] == [0, 2]


@virtual_time
@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_task_that_is_ended_without_an_attempt_keeps_what_another_worker_has_just_settled(
    is_cancelled: bool,
) -> None:
    generation = Generation(FakeModel(), a_request(version_count=1, start_seconds=-1))
    settled = VersionState(1, stage=VersionStage.COMPLETED, text=CLEAN_TEXT, characters=1, bytes=3)

    async def recall(position: Position | None) -> Known:
        return Known(TaskState(generation.request.task_id, started=True, versions=(settled,)))

    generation.recall = recall
    if is_cancelled:
        generation.cancelled.set()
    await generation.run()
    assert isinstance(generation.terminal, TaskCancelled if is_cancelled else TaskSucceeded)
    assert generation.terminal.versions[0].text == CLEAN_TEXT


@virtual_time
async def test_an_attempt_at_a_task_that_has_ended_meanwhile_writes_and_calls_nothing_more() -> None:
    async def recall(position: Position | None) -> Known:
        raise TaskEnded("ended")

    generation = Generation(model := FakeModel(), recall=recall)
    with pytest.raises(TaskEnded):
        await generation.run()
    assert [event.type for event in generation.publisher.events] == ["task.started"]
    assert model.calls == []


@virtual_time
async def test_a_task_is_cancelled_at_once_also_while_the_log_does_not_answer() -> None:
    async def recall(position: Position | None) -> Known:
        await asyncio.Event().wait()
        raise AssertionError

    generation = Generation(model := FakeModel(), recall=recall)
    running = generation.begin()
    await generation.publisher.wait_for(TaskStarted)
    generation.cancelled.set()
    await running
    assert isinstance(generation.terminal, TaskCancelled)
    assert (model.calls, now()) == ([], 0)


@virtual_time
async def test_what_attempts_before_it_have_called_for_in_vain_is_told_at_the_end() -> None:
    generation = Generation(FakeModel(), a_request(version_count=1))
    await break_off(generation)
    await break_off(generation)
    await generation.run()
    assert isinstance(generation.terminal, TaskSucceeded)
    assert (generation.terminal.usage.call_count, generation.terminal.usage.discarded_call_count) == (3, 2)
    assert_sound(generation)


@virtual_time
async def test_however_often_workers_die_a_version_is_called_for_only_so_often() -> None:
    retry = RetryPolicy(call_budget=2, total_call_budget=3)
    generation = Generation(model := FakeModel(), a_request(version_count=1), retry=retry)
    for _ in range(3):
        await break_off(generation)
    await generation.run()
    assert isinstance(generation.terminal, TaskFailed)
    assert generation.terminal.reason is Reason.BUDGET_EXHAUSTED
    assert len(model.calls) == generation.terminal.usage.call_count == 3


@virtual_time
async def test_a_refused_key_stops_all_calls_for_a_while() -> None:
    generation = Generation(model := FakeModel().plays(failing(Reason.UNAUTHORISED)))
    await generation.run()
    assert isinstance(generation.terminal, TaskFailed)
    assert generation.terminal.reason is Reason.UNAUTHORISED
    made = len(model.calls)
    again = Generation(model)
    again.services = generation.services
    await again.run()
    assert isinstance(again.terminal, TaskFailed)
    assert again.terminal.reason is Reason.UNAUTHORISED
    assert len(model.calls) == made
    assert again.terminal.usage.call_count == 0


@virtual_time
async def test_an_unknown_edition_or_item_is_a_malformed_command() -> None:
    for request in (a_request(edition="1999.1"), a_request(item="poem")):
        generation = Generation(model := FakeModel(), request)
        await generation.run()
        assert isinstance(generation.terminal, TaskFailed)
        assert generation.terminal.reason is Reason.MALFORMED_COMMAND
        assert model.calls == []


# Cancelling.


@pytest.mark.parametrize(
    ("seconds", "phase", "model"),
    [
        (0.1, DRAFTING, drafts(CLEAN_TEXT)),
        (0.9, DRAFTING, drafts(CLEAN_TEXT)),
        (3, CHECKING, drafts(FORBIDDEN_TEXT).plays(Script(CLEAN_TEXT, first_seconds=60), purpose=Purpose.REWRITE)),
        (3, FITTING, drafts(ENDLESS_SENTENCE).plays(Script(CLEAN_TEXT, first_seconds=60), purpose=Purpose.SHORTEN)),
    ],
)
@virtual_time
async def test_a_cancellation_closes_the_calls_at_once_in_every_phase(
    seconds: float, phase: Phase, model: FakeModel
) -> None:
    generation = Generation(model)
    running = generation.begin()
    await asyncio.sleep(seconds)
    assert phases(generation)[-1] is phase
    generation.cancelled.set()
    await running
    assert now() < seconds + 0.1
    assert model.running_count == 0
    assert isinstance(generation.terminal, TaskCancelled)
    assert generation.terminal.started
    assert isinstance(generation.publisher.events[-2], TaskCancelling)
    assert [told.status for told in generation.terminal.versions] == [VersionStatus.UNFINISHED] * 3
    assert generation.terminal.usage.discarded_call_count == 3
    assert_sound(generation)


@virtual_time
async def test_a_cancellation_closes_the_calls_even_while_kafka_has_no_room() -> None:
    generation = Generation(model := drafts(CLEAN_TEXT, piece_seconds=5))
    running = generation.begin()
    await asyncio.sleep(3)
    generation.publisher.has_room.clear()
    generation.cancelled.set()
    await asyncio.sleep(1)
    assert model.running_count == 0
    generation.publisher.has_room.set()
    await running
    assert isinstance(generation.terminal, TaskCancelled)
    assert_sound(generation)


@virtual_time
async def test_a_cancellation_keeps_what_is_completed() -> None:
    model = FakeModel().plays(Script(CLEAN_TEXT, piece_seconds=50), version=3)
    generation = Generation(model)
    running = generation.begin()
    await generation.publisher.wait_for(VersionCompleted, version=2)
    generation.cancelled.set()
    await running
    assert isinstance(generation.terminal, TaskCancelled)
    assert [told.status.value for told in generation.terminal.versions] == ["completed", "completed", "unfinished"]
    assert_sound(generation)


@virtual_time
async def test_a_cancellation_while_waiting_for_a_turn_or_a_retry_is_immediate() -> None:
    model = FakeModel().plays(failing(Reason.OVERLOADED, retry_after_seconds=100))
    generation = Generation(model, limits=Limits(concurrent_call_count=1))
    running = generation.begin()
    await asyncio.sleep(5)
    generation.cancelled.set()
    await running
    assert now() < 5.1
    assert generation.services.limiter.waiting_count == 0


@virtual_time
async def test_a_task_that_was_cancelled_before_its_start_begins_nothing() -> None:
    generation = Generation(model := FakeModel())
    generation.cancelled.set()
    await generation.run()
    assert isinstance(generation.terminal, TaskCancelled)
    assert not generation.terminal.started
    assert len(generation.publisher.events) == 1
    assert model.calls == []


@virtual_time
async def test_an_execution_that_is_stopped_closes_its_calls_and_writes_nothing_more() -> None:
    generation = Generation(model := FakeModel())
    running = generation.begin()
    await asyncio.sleep(0.8)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    written = len(generation.publisher.records)
    assert model.running_count == 0
    await asyncio.sleep(60)
    assert len(generation.publisher.records) == written
    assert not generation.state.ended


# Deadlines.


@virtual_time
async def test_a_task_that_has_not_started_in_time_expires_without_a_call() -> None:
    generation = Generation(model := FakeModel(), a_request(start_seconds=10))
    await asyncio.sleep(10)
    await generation.run()
    assert isinstance(generation.terminal, TaskExpired)
    assert not generation.terminal.started
    assert model.calls == []
    assert generation.state.stage is Stage.EXPIRED


@pytest.mark.parametrize(
    ("phase", "model"),
    [
        (DRAFTING, drafts(CLEAN_TEXT, piece_seconds=10)),
        (CHECKING, drafts(FORBIDDEN_TEXT).plays(Script(CLEAN_TEXT, first_seconds=60), purpose=Purpose.REWRITE)),
        (FITTING, drafts(ENDLESS_SENTENCE).plays(Script(CLEAN_TEXT, first_seconds=60), purpose=Purpose.SHORTEN)),
    ],
)
@virtual_time
async def test_the_end_deadline_stops_the_calls_in_every_phase(phase: Phase, model: FakeModel) -> None:
    generation = Generation(model, a_request(end_seconds=15))
    await generation.run()
    assert now() == pytest.approx(15, abs=0.1)
    assert phases(generation)[-1] is phase
    assert model.running_count == 0
    assert isinstance(generation.terminal, TaskExpired)
    assert generation.terminal.started
    assert {told.reason for told in generation.terminal.versions} == {Reason.DEADLINE}
    assert outcome(generation).text != ""
    assert_sound(generation)


@virtual_time
async def test_what_is_completed_at_the_end_deadline_is_a_degraded_success() -> None:
    model = FakeModel().plays(Script(CLEAN_TEXT, piece_seconds=10), version=3)
    generation = Generation(model, a_request(end_seconds=15))
    await generation.run()
    assert isinstance(generation.terminal, TaskSucceeded)
    assert generation.terminal.degraded
    (failed,) = generation.publisher.of(VersionFailed)
    assert (failed.version, failed.reason) == (3, Reason.DEADLINE)
    assert CLEAN_TEXT.startswith(failed.text.strip())
    assert_sound(generation)


# Another attempt.


@virtual_time
async def test_another_attempt_pays_nothing_for_what_is_settled() -> None:
    model = FakeModel().plays(failing(Reason.REFUSED), version=1)
    model.plays(Script(CLEAN_TEXT, piece_seconds=50), Script(CLEAN_TEXT), version=3)
    generation = Generation(model)
    first = generation.begin()
    await generation.publisher.wait_for(VersionCompleted, version=2)
    first.cancel()
    await asyncio.wait([first])
    half_written = generation.state.version(3)
    assert half_written.stage is VersionStage.DRAFTING
    await generation.run()
    assert [len(model.calls_of(version)) for version in (1, 2, 3)] == [1, 1, 2]
    started = generation.publisher.of(TaskStarted)
    assert [event.kept for event in started] == [(), (1, 2)]
    assert isinstance(generation.terminal, TaskSucceeded)
    assert [told.status.value for told in generation.terminal.versions] == ["failed", "completed", "completed"]
    assert generation.state.version(3).text == CLEAN_TEXT
    assert_sound(generation)


@virtual_time
async def test_another_attempt_with_everything_settled_only_ends_the_task() -> None:
    generation = Generation(model := FakeModel())
    await generation.run()
    del generation.publisher.records[-1]
    assert not generation.state.ended
    await generation.run()
    assert len(model.calls) == 3
    assert isinstance(generation.terminal, TaskSucceeded)
    assert_sound(generation)


@virtual_time
async def test_another_attempt_is_not_held_to_the_start_deadline() -> None:
    generation = Generation(FakeModel(), a_request(start_seconds=10))
    first = generation.begin()
    await asyncio.sleep(0.8)
    first.cancel()
    await asyncio.wait([first])
    await asyncio.sleep(20)
    await generation.run()
    assert isinstance(generation.terminal, TaskSucceeded)


@virtual_time
async def test_another_attempt_after_the_end_makes_no_call() -> None:
    generation = Generation(model := FakeModel(), a_request(end_seconds=10))
    first = generation.begin()
    await asyncio.sleep(0.8)
    first.cancel()
    await asyncio.wait([first])
    made = len(model.calls)
    await asyncio.sleep(20)
    await generation.run()
    assert isinstance(generation.terminal, TaskExpired)
    assert generation.terminal.started
    assert len(model.calls) == made


# Kafka and privacy.


@virtual_time
async def test_when_kafka_takes_no_more_the_calls_are_closed_and_the_caller_hears_it() -> None:
    generation = Generation(model := FakeModel())
    running = generation.begin()
    await asyncio.sleep(0.8)
    generation.publisher.failure = ConnectionError("no broker")
    with pytest.raises(ConnectionError):
        await running
    assert model.running_count == 0
    assert not generation.state.ended


@virtual_time
async def test_the_log_tells_numbers_and_ids_and_never_a_text() -> None:
    model = FakeModel().plays(failing(Reason.TRUNCATED, after=3), Script(FORBIDDEN_TEXT))
    generation = Generation(model)
    with capture_logs() as logs:
        await generation.run()
    assert {log["event"] for log in logs} == {"model_call.ended"}
    assert {log["outcome"] for log in logs} == {"completed", "truncated"}
    good = next(log for log in logs if log["outcome"] == "completed")
    assert good["response_id"] == "resp_fake"
    assert good["request_id"] == "req_fake"
    assert good["first_text_seconds"] == pytest.approx(0.5)
    assert good["discarded"] is False
    written = json.dumps(logs, ensure_ascii=False, default=str)
    assert not any("가" <= character <= "힣" for character in written)


# Whatever happens.

reasons = st.sampled_from(
    [Reason.OVERLOADED, Reason.TRUNCATED, Reason.REFUSED, Reason.RATE_LIMITED, Reason.UNAUTHORISED, Reason.PROTOCOL]
)
scripts = st.one_of(
    st.builds(
        Script,
        text=st.sampled_from([CLEAN_TEXT, MENDABLE_TEXT, FORBIDDEN_TEXT, MANY_SENTENCES, ENDLESS_SENTENCE, "네."]),
        piece_count=st.integers(1, 20),
        first_seconds=st.sampled_from([0.0, 0.3, 4.0]),
        piece_seconds=st.sampled_from([0.0, 0.02, 0.2, 3.0]),
    ),
    st.builds(
        failing,
        reasons,
        after=st.none() | st.integers(0, 7),
        retry_after_seconds=st.none() | st.sampled_from([0.5, 7.0, 90.0]),
    ),
)
troubles = st.tuples(st.sampled_from(["stop", "cancel", "no_room", "room"]), st.floats(0, 40))


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.tuples(st.integers(1, 3), st.sampled_from(Purpose)), st.lists(scripts, min_size=1, max_size=4), max_size=6
    ),
    st.lists(troubles, max_size=4),
    st.integers(1, 6),
    st.floats(1, 60),
)
def test_whatever_happens_one_attempt_after_another_comes_to_one_sound_end(
    played: dict[tuple[int, Purpose], list[Script]],
    troubles: list[tuple[str, float]],
    concurrent: int,
    end_seconds: float,
) -> None:
    async def play() -> None:
        model = FakeModel(scripts=dict(played))  # type: ignore[arg-type]  # a narrower key
        generation = Generation(model, a_request(end_seconds=end_seconds), limits=Limits(concurrent))
        loop = asyncio.get_running_loop()
        running = generation.begin()
        for trouble, seconds in troubles:
            act = {
                "stop": lambda: running.cancel(),
                "cancel": generation.cancelled.set,
                "no_room": generation.publisher.has_room.clear,
                "room": generation.publisher.has_room.set,
            }[trouble]
            loop.call_later(seconds, act)
        loop.call_later(50, generation.publisher.has_room.set)
        while not generation.state.ended:
            await asyncio.wait([running])
            if not running.cancelled():
                running.result()
                break
            running = generation.begin()
        assert generation.terminal == generation.publisher.events[-1]
        assert generation.state.ended
        assert generation.state.progress.hole_count == 0
        assert generation.services.limiter.running_count == generation.services.limiter.waiting_count == 0
        assert model.running_count == 0
        for version in (1, 2, 3):
            completed = generation.publisher.of(VersionCompleted, version=version)
            assert len(completed) <= 1
            assert all(event.bytes <= 1500 for event in completed)
            for attempt in {call.attempt for call in model.calls}:
                made = [call for call in model.calls_of(version) if call.attempt == attempt]
                assert len(made) <= generation.retry.call_budget

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, capture_logs():
        runner.run(play())
