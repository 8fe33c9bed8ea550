"""What a check of a text says: one finding for each place that may not stay as it is."""

from enum import StrEnum

from pydantic import Field

from contracts.wire import Wire


class Severity(StrEnum):
    """How sure a rule is: `block` may never stay, `review` depends on the context, `style` is advice."""

    BLOCK = "block"
    REVIEW = "review"
    STYLE = "style"


class Fix(StrEnum):
    """What can be done about a finding: put a suggestion in, write the clause anew, or ask for an observable act."""

    NONE = "none"
    REPLACE = "replace"
    REWRITE = "rewrite"
    ASK_EVIDENCE = "ask_evidence"


class Finding(Wire):
    """One place in a text, by code points `[start, end)`, with the rule that it breaks and the way out."""

    rule_id: str = Field(max_length=64)
    category: str = Field(max_length=64)
    severity: Severity = Field(strict=False)
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    matched: str = Field(repr=False)
    reason: str
    clause: str
    fix: Fix = Field(strict=False)
    suggestions: tuple[str, ...] = Field(default=(), strict=False)
    dismissible: bool
