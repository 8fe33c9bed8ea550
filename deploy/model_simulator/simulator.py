"""The simulated service: what each request is answered with, without a socket in sight."""

from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from time import monotonic, time

from deploy.model_simulator.api_errors import error_reply
from deploy.model_simulator.call_log import COMPLETED, CallLog, CallRecord
from deploy.model_simulator.chat_api import ChatDialect
from deploy.model_simulator.fault_scripts import ENDS_WELL, PLAYS, Scene
from deploy.model_simulator.faults import FaultBook, FaultName, FaultRule, UnknownFaultError
from deploy.model_simulator.frames import Header, Reply, json_reply
from deploy.model_simulator.generation_call import Api, GenerationCall, InvalidCallError, read_call
from deploy.model_simulator.identity import SIMULATOR_MODEL
from deploy.model_simulator.limits import LimitSettings, RateLimits
from deploy.model_simulator.pace import CHARS_PER_TOKEN, Pace, PaceOverride, count_tokens, draw_timing
from deploy.model_simulator.prose import seeded_random, write_text
from deploy.model_simulator.responses_api import Finish, ResponsesDialect
from deploy.model_simulator.script import Dialect, Performance, Script, perform, play_reply

WRONG_KEY = "wrong-key"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A script, and what the call log says when it has been played to its end."""

    script: Script
    record: CallRecord | None = None
    outcome: str = COMPLETED


class Simulator:
    """Answer the API's requests, and remember rules, limits, pace and calls."""

    def __init__(self, pace: Pace, call_log_count: int, clock: Callable[[], float] = monotonic) -> None:
        self.pace = pace
        self.faults = FaultBook()
        self.calls = CallLog(call_log_count)
        self.limits = RateLimits(LimitSettings(), clock())
        self._clock = clock
        self._epoch = time() - clock()

    def now(self) -> float:
        """Return seconds since the epoch, on a clock that never steps back."""
        return self._epoch + self._clock()

    def set_limits(self, settings: LimitSettings) -> None:
        """Begin with full buckets of another size."""
        self.limits = RateLimits(settings, self._clock())

    def answer_models(self, request: Request) -> Answer:
        """Answer `GET /v1/models` and `GET /v1/models/{id}`."""
        if (refusal := _check_key(request)) is not None:
            return Answer(play_reply(refusal))
        model = {"id": SIMULATOR_MODEL, "object": "model", "created": 0, "owned_by": "draftstream-simulator"}
        if request.path == "/v1/models":
            return Answer(play_reply(json_reply(200, {"object": "list", "data": [model]})))
        if request.path == f"/v1/models/{SIMULATOR_MODEL}":
            return Answer(play_reply(json_reply(200, model)))
        return Answer(play_reply(error_reply(404, "model_not_found")))

    def answer_generation(self, api: Api, request: Request) -> Answer:
        """Answer one call for a text, and log it."""
        record = CallRecord(self.calls.next_ordinal(), api, stream=False, started_at=self.now())
        self.calls.open(record)
        if (refusal := _check_key(request)) is not None:
            return self._turn_away(record, refusal, "unauthorised")
        try:
            call = read_call(api, request.body)
            _fill_record(record, call)
            rule = self.faults.choose(call, request.headers.get("x-simulator-fault"))
        except InvalidCallError as error:
            reply = error_reply(400, "invalid_value", error.reason, error.parameter)
            return self._turn_away(record, reply, "invalid_request")
        except UnknownFaultError as error:
            return self._turn_away(record, error_reply(400, "unknown_fault", str(error)), "unknown_fault")
        return self._admit(record, call, rule)

    def _admit(self, record: CallRecord, call: GenerationCall, rule: FaultRule | None) -> Answer:
        text = write_text(call)
        token_count = count_tokens(call.instructions + call.notes) + count_tokens(text)
        wait_seconds = self.limits.admit(token_count, self._clock())
        headers = (*_common_headers(), *self.limits.headers())
        if wait_seconds > 0:
            waits = (("retry-after", f"{wait_seconds:.0f}"), ("retry-after-ms", f"{wait_seconds * 1000:.0f}"))
            reply = error_reply(429, "rate_limit_exceeded", headers=(*headers, *waits))
            return self._turn_away(record, reply, "rate_limited")
        return self._perform(record, call, rule, text, headers)

    def _perform(
        self,
        record: CallRecord,
        call: GenerationCall,
        rule: FaultRule | None,
        text: str,
        headers: tuple[Header, ...],
    ) -> Answer:
        text, finish = _cap(text, call.max_output_tokens)
        override = rule.params.pace() if rule else PaceOverride()
        show = Performance(
            dialect=_new_dialect(call, self.now(), refusing=rule is not None and rule.fault is FaultName.REFUSAL),
            text=text,
            finish=finish,
            timing=draw_timing(self.pace, override, len(text), seeded_random(call)),
            stream=call.stream,
            headers=headers,
        )
        if rule is None:
            return Answer(perform(show), record)
        record.fault = rule.fault
        outcome = COMPLETED if rule.fault in ENDS_WELL else str(rule.fault)
        return Answer(PLAYS[rule.fault](Scene(show, call, rule.params)), record, outcome)

    def _turn_away(self, record: CallRecord, reply: Reply, outcome: str) -> Answer:
        return Answer(play_reply(reply), record, outcome)


def _check_key(request: Request) -> Reply | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return error_reply(401, None, "You didn't provide an API key (simulated).")
    if key.strip() == WRONG_KEY:
        return error_reply(401, "invalid_api_key")
    return None


def _fill_record(record: CallRecord, call: GenerationCall) -> None:
    record.stream = call.stream
    record.task_id = _short(call.metadata.get("task_id"))
    record.version = _short(call.metadata.get("version"))
    record.purpose = _short(call.metadata.get("purpose"))
    record.attempt = _short(call.metadata.get("attempt"))
    record.task_tag = record.task_id or _short(call.caller_tag)


def _short(value: str | None) -> str | None:
    return None if value is None else value[:128]


def _new_dialect(call: GenerationCall, created_at: float, refusing: bool) -> Dialect:
    if call.api == "responses":
        return ResponsesDialect(call, created_at, refusing)
    return ChatDialect(call, created_at, refusing)


def _common_headers() -> tuple[Header, ...]:
    return (("x-request-id", f"req_sim_{token_hex(16)}"), ("openai-version", "2020-10-01"))


def _cap(text: str, max_output_tokens: int | None) -> tuple[str, Finish]:
    if max_output_tokens is None or count_tokens(text) <= max_output_tokens:
        return text, "stop"
    return text[: int((max_output_tokens - 1) * CHARS_PER_TOKEN)], "length"
