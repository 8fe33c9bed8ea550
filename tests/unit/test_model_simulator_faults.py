"""Which call gets which fault, and that every fault has a script for both APIs."""

from itertools import islice
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.model_simulator.call_log import COMPLETED, CUT_BY_CLIENT, CallLog, CallRecord
from deploy.model_simulator.fault_scripts import ENDS_WELL, PLAYS
from deploy.model_simulator.faults import FaultBook, FaultName, FaultRule, UnknownFaultError, read_marker
from deploy.model_simulator.generation_call import Api, GenerationCall, InvalidCallError, read_call
from deploy.model_simulator.limits import LimitSettings, RateLimits
from deploy.model_simulator.pace import PROFILES
from deploy.model_simulator.script import Ending
from deploy.model_simulator.simulator import Answer, Request, Simulator


def body(
    notes: str = "관찰", api: Api = "responses", stream: bool = True, metadata: dict[str, str] | None = None
) -> bytes:
    words: dict[str, Any] = (
        {"input": notes} if api == "responses" else {"messages": [{"role": "user", "content": notes}]}
    )
    return orjson.dumps({"model": "any", "stream": stream, "metadata": metadata or {}, **words})


def call(notes: str = "관찰", **metadata: str) -> GenerationCall:
    return read_call("responses", body(notes, metadata=metadata))


def rules(*values: dict[str, object]) -> FaultBook:
    book = FaultBook()
    book.set_rules([FaultRule.model_validate(value) for value in values])
    return book


def chosen(book: FaultBook, *calls: GenerationCall) -> list[str | None]:
    found = [book.choose(each, None) for each in calls]
    return [rule.fault.value if rule else None for rule in found]


def answer(api: Api = "responses", **headers: str) -> Answer:
    simulator = Simulator(PROFILES["fast"], 10)
    fields = {"authorization": "Bearer k", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return simulator.answer_generation(api, Request("POST", "/", "", fields, body(api=api)))


class TestRules:
    def test_first_rule_that_fits_applies(self) -> None:
        book = rules({"fault": "stall", "match": "없음"}, {"fault": "cut"}, {"fault": "reset"})
        assert chosen(book, call()) == ["cut"]

    def test_a_rule_applies_as_often_as_it_says_then_the_next_one_does(self) -> None:
        book = rules({"fault": "cut", "times": 2}, {"fault": "reset", "times": 1})
        assert chosen(book, call(), call(), call(), call()) == ["cut", "cut", "reset", None]
        assert [rule["hits"] for rule in book.report()] == [2, 1]

    def test_match_looks_in_prompt_and_metadata(self) -> None:
        book = rules({"fault": "cut", "match": "협력"}, {"fault": "reset", "match": "task-7"})
        assert chosen(book, call("협력 활동"), call(task_id="task-7"), call()) == ["cut", "reset", None]

    def test_metadata_must_be_carried(self) -> None:
        book = rules({"fault": "cut", "metadata": {"version": "2", "purpose": "draft"}})
        calls = call(version="2", purpose="draft"), call(version="2", purpose="shorten"), call()
        assert chosen(book, *calls) == ["cut", None, None]

    def test_ordinal_and_every_count_calls_since_the_rules_were_set(self) -> None:
        book = rules({"fault": "cut", "ordinal": 2}, {"fault": "reset", "every": 3})
        assert chosen(book, *[call()] * 6) == [None, "cut", "reset", None, None, "reset"]
        book.set_rules([FaultRule(fault=FaultName.CUT, ordinal=1)])
        assert chosen(book, call()) == ["cut"]

    def test_unknown_faults_and_knobs_are_refused(self) -> None:
        for value in ({"fault": "nonsense"}, {"fault": "cut", "params": {"afterr": 1}}, {"fault": "cut", "x": 1}):
            with pytest.raises(ValueError, match="validation error"):
                FaultRule.model_validate(value)


class TestMarkers:
    def test_a_marker_names_a_fault_its_knobs_and_conditions(self) -> None:
        rule = read_marker('cut after=5 times=1 version=2 match="두 낱말"')
        assert (rule.fault, rule.params.after, rule.times) == (FaultName.CUT, 5, 1)
        assert (rule.metadata, rule.match) == ({"version": "2"}, "두 낱말")

    def test_markers_are_taken_out_of_the_notes(self) -> None:
        read = call("앞 [[fault:cut after=5]] 뒤 [[fault:stall]]")
        assert read.markers == ("cut after=5", "stall")
        assert "fault" not in read.notes

    def test_times_counts_per_task_and_version(self) -> None:
        book = FaultBook()
        notes = "[[fault:cut times=1]]"
        first, second = call(notes, task_id="a", version="1"), call(notes, task_id="a", version="2")
        assert chosen(book, first, second, first, second) == ["cut", "cut", None, None]
        assert chosen(book, call(notes, task_id="b", version="1")) == ["cut"]

    def test_a_marker_can_aim_at_one_version(self) -> None:
        notes = "[[fault:cut version=2]]"
        assert chosen(FaultBook(), call(notes, version="1"), call(notes, version="2")) == [None, "cut"]

    def test_a_marker_wins_over_rules_and_a_header_over_both(self) -> None:
        book = rules({"fault": "reset"})
        marked = call("[[fault:cut]]")
        assert chosen(book, marked, call()) == ["cut", "reset"]
        rule = book.choose(marked, "stall after=1")
        assert rule is not None
        assert rule.fault is FaultName.STALL

    @pytest.mark.parametrize("text", ["", "nonsense", "cut after", "cut after=x", 'cut "', "cut unknown=1"])
    def test_a_wrong_marker_is_an_error_not_silence(self, text: str) -> None:
        with pytest.raises(UnknownFaultError):
            read_marker(text)

    @given(st.text(max_size=60))
    def test_any_marker_text_is_read_or_refused(self, text: str) -> None:
        try:
            read_marker(text)
        except UnknownFaultError:
            return


class TestScripts:
    def test_every_fault_has_a_script_and_a_verdict(self) -> None:
        assert set(PLAYS) == set(FaultName)
        assert set(FaultName) > ENDS_WELL

    @pytest.mark.parametrize("api", ["responses", "chat"])
    @pytest.mark.parametrize("fault", FaultName)
    @pytest.mark.parametrize("stream", [True, False])
    def test_every_script_begins_with_a_head_or_with_silence(self, api: Api, fault: FaultName, stream: bool) -> None:
        simulator = Simulator(PROFILES["fast"], 10)
        request = Request(
            "POST",
            "/",
            "",
            {"authorization": "Bearer k", "x-simulator-fault": f"{fault} size_bytes=100000"},
            body(api=api, stream=stream),
        )
        steps = list(islice(simulator.answer_generation(api, request).script, 300))
        sent = b"".join(step.data for step in steps)
        assert sent.startswith(b"HTTP/1.1 ") or (not sent and steps[-1].ending is Ending.CLOSE)
        assert all(step.ending is None for step in steps[:-1])

    def test_a_call_without_a_fault_ends_well(self) -> None:
        assert answer().outcome == COMPLETED

    def test_a_fault_is_what_the_log_says(self) -> None:
        spoilt = answer(x_simulator_fault="cut")
        assert spoilt.outcome == "cut"
        assert spoilt.record is not None
        assert spoilt.record.fault == "cut"


class TestBodies:
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"[]",
            b"{",
            b'{"model":"m"}',
            b'{"input":"x"}',
            b'{"model":1,"input":"x"}',
            b'{"model":"m","input":"x","metadata":{"version":2}}',
            b'{"model":"m","input":"x","max_output_tokens":1}',
            b'{"model":"m","input":"\xff"}',
        ],
    )
    def test_what_the_api_would_refuse_is_refused_without_an_echo(self, text: bytes) -> None:
        with pytest.raises(InvalidCallError) as refused:
            read_call("responses", text)
        assert "x" not in refused.value.reason.split()

    def test_both_apis_read_the_same_call(self) -> None:
        one = read_call("responses", b'{"model":"m","instructions":"I","input":[{"role":"user","content":"N"}]}')
        messages = b'[{"role":"system","content":"I"},{"role":"user","content":[{"type":"text","text":"N"}]}]'
        two = read_call("chat", b'{"model":"m","messages":' + messages + b"}")
        assert (one.instructions, one.notes) == (two.instructions, two.notes) == ("I", "N")


class TestLimits:
    def test_requests_pass_until_the_bucket_is_empty_and_again_when_it_has_filled(self) -> None:
        limits = RateLimits(LimitSettings(requests_per_minute=60, burst_seconds=2), now=0)
        assert [limits.admit(1, 0), limits.admit(1, 0)] == [0, 0]
        assert limits.admit(1, 0) == pytest.approx(1)
        assert limits.admit(1, 0.5) == pytest.approx(0.5)
        assert limits.admit(1, 1) == 0

    def test_a_call_that_is_turned_away_takes_nothing(self) -> None:
        limits = RateLimits(LimitSettings(requests_per_minute=600, tokens_per_minute=60, burst_seconds=60), now=0)
        assert limits.admit(60, 0) == 0
        assert limits.admit(30, 0) == pytest.approx(30)
        assert dict(limits.headers())["x-ratelimit-remaining-requests"] == "599"
        assert limits.admit(30, 30) == 0

    def test_a_call_larger_than_the_bucket_passes_a_full_one(self) -> None:
        limits = RateLimits(LimitSettings(tokens_per_minute=60, burst_seconds=1), now=0)
        assert limits.admit(500, 0) == 0
        assert limits.admit(1, 0) > 0


class TestCallLog:
    def test_the_oldest_calls_are_dropped_and_counted(self) -> None:
        log = CallLog(2)
        for _ in range(3):
            log.open(CallRecord(log.next_ordinal(), "responses", stream=True, started_at=0))
        assert [call["ordinal"] for call in log.page(0, 10, None)] == [2, 3]
        assert (log.total_count, log.dropped_count, log.running_count, log.peak_running_count) == (3, 1, 3, 3)

    def test_only_the_first_ending_counts(self) -> None:
        log = CallLog(2)
        record = log.open(CallRecord(log.next_ordinal(), "chat", stream=False, started_at=0))
        log.close(record, COMPLETED, 1.0)
        log.close(record, CUT_BY_CLIENT, 2.0)
        assert (record.outcome, record.ended_at, log.running_count) == (COMPLETED, 1.0, 0)

    def test_clearing_keeps_what_runs(self) -> None:
        log = CallLog(5)
        ended, running = (
            log.open(CallRecord(log.next_ordinal(), "chat", stream=False, started_at=0)) for _ in range(2)
        )
        log.close(ended, COMPLETED, 1.0)
        log.clear()
        assert [call["ordinal"] for call in log.page(0, 10, None)] == [running.ordinal]
