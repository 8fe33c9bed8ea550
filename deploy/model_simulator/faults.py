"""Which call gets which fault: rules set through the control API, markers in the notes, a header."""

import shlex
from collections import OrderedDict
from enum import StrEnum
from hashlib import sha256
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from deploy.model_simulator.generation_call import GenerationCall
from deploy.model_simulator.pace import PaceOverride


class FaultName(StrEnum):
    """Everything a simulated model can do wrong."""

    # Answers with an error status.
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    SERVER_ERROR = "server_error"
    SERVER_ERROR_HTML = "server_error_html"
    OVERLOADED = "overloaded"
    OVERLOADED_HTML = "overloaded_html"
    BAD_REQUEST = "bad_request"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    UNPROCESSABLE = "unprocessable"
    REDIRECT = "redirect"
    STATUS = "status"
    # Ends the protocol defines.
    FAILED = "failed"
    INCOMPLETE_LENGTH = "incomplete_length"
    INCOMPLETE_FILTER = "incomplete_filter"
    REFUSAL = "refusal"
    ERROR_EVENT = "error_event"
    ERROR_OBJECT = "error_object"
    # Broken answers.
    NO_FINAL_EVENT = "no_final_event"
    HTML_200 = "html_200"
    JSON_ERROR_200 = "json_error_200"
    CUT = "cut"
    RESET = "reset"
    CLOSE_BEFORE_HEAD = "close_before_head"
    BAD_FRAMING = "bad_framing"
    BAD_JSON = "bad_json"
    BAD_UTF8 = "bad_utf8"
    # Time.
    STALL = "stall"
    COMMENTS_FOREVER = "comments_forever"
    NO_HEADERS = "no_headers"
    SLOW_FIRST_TEXT = "slow_first_text"
    DRIP = "drip"
    PACE = "pace"
    # Texts.
    HUGE_LINE = "huge_line"
    HUGE_TEXT = "huge_text"
    EMPTY_TEXT = "empty_text"
    BLANK_TEXT = "blank_text"
    FOREIGN_TEXT = "foreign_text"
    MARKDOWN = "markdown"
    HTML_TEXT = "html_text"
    PROMPT_ECHO = "prompt_echo"
    OTHER_STUDENT = "other_student"
    TOO_LONG = "too_long"
    ONE_WORD = "one_word"
    FORBIDDEN_TERM = "forbidden_term"
    CLEAN_TEXT = "clean_text"
    FIXED_TEXT = "fixed_text"


class FaultParams(BaseModel):
    """The knobs of all faults; each fault reads its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int = Field(default=3, ge=0)
    """How many text deltas are sent before the fault."""
    seconds: float | None = Field(default=None, ge=0, le=3600)
    """How long a silence lasts, or the time between two comments."""
    retry_after_seconds: float | None = Field(default=None, ge=0)
    retry_after_ms: float | None = Field(default=None, ge=0)
    size_bytes: int = Field(default=10_000_000, gt=0, le=100_000_000)
    code: int = Field(default=500, ge=200, le=599)
    """The status of the fault `status`."""
    error_code: str | None = None
    """The `code` in an error body."""
    location: str = "/redirect-target"
    text: str | None = None
    """The answer of the fault `fixed_text`."""
    first_text_seconds: float | None = Field(default=None, ge=0, le=3600)
    tokens_per_second: float | None = Field(default=None, gt=0)
    delta_seconds: float | None = Field(default=None, gt=0)
    text_seconds: float | None = Field(default=None, gt=0, le=3600)

    def pace(self) -> PaceOverride:
        """Return what these knobs say about the pace; every fault that sends text obeys them."""
        return PaceOverride(self.first_text_seconds, self.tokens_per_second, self.delta_seconds, self.text_seconds)


class FaultRule(BaseModel):
    """A fault and the calls it is for: every condition that is given must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: FaultName
    params: FaultParams = FaultParams()
    match: str | None = Field(default=None, min_length=1)
    """A substring of the prompt, the model's name or a metadata value."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Metadata the call must carry, for example {"version": "2"}."""
    ordinal: int | None = Field(default=None, ge=1)
    """Which call since the rules were set, counted from 1."""
    every: int | None = Field(default=None, ge=1)
    """Every how many calls since the rules were set."""
    times: int | None = Field(default=None, ge=1)
    """How often the rule applies; None is always."""

    def fits(self, call: GenerationCall, ordinal: int) -> bool:
        """Tell whether the rule is meant for a call."""
        if self.match is not None and self.match not in call.searchable_text:
            return False
        if any(call.metadata.get(name) != value for name, value in self.metadata.items()):
            return False
        if self.ordinal is not None and self.ordinal != ordinal:
            return False
        return self.every is None or ordinal % self.every == 0


FAULT_RULES: Final = TypeAdapter(list[FaultRule])

_MATCHED_METADATA: Final = frozenset({"version", "purpose", "attempt", "task_id"})
_CONDITIONS: Final = frozenset({"match", "times", "every", "ordinal"})
_MARKER_COUNT_LIMIT: Final = 100_000


class UnknownFaultError(ValueError):
    """A marker or header does not name a fault and its knobs as they are defined."""


def read_marker(text: str) -> FaultRule:
    """Read `NAME key=value …`, as it stands in a marker or a header."""
    try:
        name, *pairs = shlex.split(text)
        values = dict(pair.split("=", 1) for pair in pairs)
    except ValueError:
        raise UnknownFaultError("a marker is NAME key=value …") from None
    metadata = {key: value for key, value in values.items() if key in _MATCHED_METADATA}
    conditions = {key: value for key, value in values.items() if key in _CONDITIONS}
    params = {key: value for key, value in values.items() if key not in _MATCHED_METADATA | _CONDITIONS}
    try:
        return FaultRule.model_validate(
            {"fault": name, "params": params, "metadata": metadata, **conditions}, strict=False
        )
    except ValidationError as error:
        raise UnknownFaultError(f"{error.error_count()} wrong values in the marker of {name[:40]!r}") from None


class FaultBook:
    """Choose the fault of each call: the header first, then the markers in the notes, then the rules in order."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._rule_hits: list[int] = []
        self._call_count = 0
        self._marker_hits: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    def set_rules(self, rules: list[FaultRule]) -> None:
        """Put new rules in the place of the old ones and count calls from 1 again."""
        self._rules = list(rules)
        self._rule_hits = [0] * len(rules)
        self._call_count = 0

    def report(self) -> list[dict[str, object]]:
        """Return the rules with how often each has applied."""
        return [
            {**rule.model_dump(mode="json", exclude_defaults=True), "hits": hits}
            for rule, hits in zip(self._rules, self._rule_hits, strict=True)
        ]

    def choose(self, call: GenerationCall, header: str | None) -> FaultRule | None:
        """Return the rule that applies to this call and count it; raise `UnknownFaultError`."""
        self._call_count += 1
        if header is not None:
            rule = read_marker(header)
            return rule if rule.fits(call, self._call_count) else None
        return self._choose_marker(call) or self._choose_rule(call)

    def _choose_marker(self, call: GenerationCall) -> FaultRule | None:
        for marker in call.markers:
            rule = read_marker(marker)
            if not rule.fits(call, self._call_count):
                continue
            # Counted per task and version, so that `times=1` spoils the first try of each version it names.
            task = call.metadata.get("task_id") or sha256(call.seed_text.encode("utf-8", "replace")).hexdigest()
            key = (marker, task, call.metadata.get("version", ""))
            hits = self._marker_hits.pop(key, 0)
            if rule.times is not None and hits >= rule.times:
                self._marker_hits[key] = hits
                continue
            self._marker_hits[key] = hits + 1
            if len(self._marker_hits) > _MARKER_COUNT_LIMIT:
                self._marker_hits.popitem(last=False)
            return rule
        return None

    def _choose_rule(self, call: GenerationCall) -> FaultRule | None:
        for index, rule in enumerate(self._rules):
            if rule.times is not None and self._rule_hits[index] >= rule.times:
                continue
            if rule.fits(call, self._call_count):
                self._rule_hits[index] += 1
                return rule
        return None
