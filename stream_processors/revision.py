"""What is done to a text between the model and the teacher. Pure; the rules themselves are in student_records."""

from dataclasses import dataclass, field

from contracts.findings import Finding, Severity
from student_records.byte_count import count_bytes
from student_records.edition import Edition
from student_records.items import Item
from student_records.rewriting import settle
from student_records.rules import check

_BYTES_OF_A_LETTER = 3
_LEAST_LEFT = 0.5
_TELLTALE_CHARACTERS = 20
_SHORTEN_MARGINS = (0.97, 0.9)
_MOST_FINDINGS = 100
_GRAVITY = (Severity.BLOCK, Severity.REVIEW, Severity.STYLE)


@dataclass(frozen=True, slots=True)
class RevisionPolicy:
    """How many calls may mend a text that rules cannot mend, and how often text may come back from fitting."""

    rewrite_call_count: int = 1
    shorten_call_count: int = 2
    round_count: int = 8


@dataclass(frozen=True, slots=True)
class Mended:
    """A text after the rules, its gravest 100 findings, and those of them for which it must be written anew.

    A text that repeats itself has thousands, and a record with all of them would be larger than Kafka takes.
    """

    text: str = field(repr=False)
    findings: tuple[Finding, ...] = field(repr=False)
    unmended: tuple[Finding, ...] = field(repr=False)


def count_hangul(text: str) -> int:
    """Count the Korean letters of a normalised text."""
    return sum("가" <= character <= "힣" for character in text)


def echoes(text: str, instructions: str) -> bool:
    """Tell whether a text holds a whole line of the instructions that were to bring it about."""
    lines = (line.strip(" -") for line in instructions.splitlines())
    return any(len(line) >= _TELLTALE_CHARACTERS and line in text for line in lines)


def least_letters(limit_bytes: int) -> int:
    """Return how few Korean letters still make a text: a twentieth of what would fill the limit."""
    return max(2, limit_bytes // (_BYTES_OF_A_LETTER * 20))


def mend(text: str, edition: Edition, item: Item) -> Mended:
    """Check a text and mend by rule what can be.

    Where mending would take more than half of the text away, the text stays and has to be written anew.
    """
    settled = settle(text, edition, item)
    if len(settled.text.strip()) < len(text) * _LEAST_LEFT:
        findings = _gravest(check(text, edition, item))
        return Mended(text, findings, _blocking(findings))
    findings = _gravest(settled.remaining)
    return Mended(settled.text.strip(), findings, _blocking(findings))


def shorter_target_characters(text: str, limit_bytes: int, shortened_count: int) -> int:
    """Return how many characters to ask for, so that the text fits; a little less each time."""
    share = limit_bytes / max(1, count_bytes(text))
    margin = _SHORTEN_MARGINS[min(shortened_count, len(_SHORTEN_MARGINS) - 1)]
    return max(1, int(len(text) * min(1.0, share) * margin))


def _gravest(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the gravest findings in the order of the text."""
    if len(findings) <= _MOST_FINDINGS:
        return findings
    ranked = sorted(findings, key=lambda finding: _GRAVITY.index(finding.severity))[:_MOST_FINDINGS]
    return tuple(sorted(ranked, key=lambda finding: finding.start))


def _blocking(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity is Severity.BLOCK)
