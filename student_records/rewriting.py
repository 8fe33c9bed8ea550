"""Mending a text by rule: a lawful word for an unlawful one, and where there is none the clause goes.

A clause is taken out only where what stays is a sentence again; otherwise the whole sentence goes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.findings import Finding, Fix, Severity
from student_records.clauses import find_clauses_by_sentence
from student_records.edition import Edition
from student_records.items import Item
from student_records.korean import correct_particle, hangul_run, to_noun_form
from student_records.rules import CheckContext, check
from student_records.sentences import Span

_MOST_ROUNDS = 8
_MOST_CUTS = 50


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A mended text, the findings that were dealt with, and those that were left alone."""

    text: str = field(repr=False)
    applied: tuple[Finding, ...] = field(repr=False)
    remaining: tuple[Finding, ...] = field(repr=False)


def rewrite(text: str, findings: Sequence[Finding]) -> Rewritten:
    """Mend the block findings of a text that have a fix; the result has to be checked again.

    The findings must be of this very text. Review and style findings are left to the teacher.
    """
    applied = tuple(finding for finding in findings if _is_mendable(finding))
    remaining = tuple(finding for finding in findings if not _is_mendable(finding))
    mended, unlawful = _replace(text, applied)
    return Rewritten(_remove(mended, unlawful), applied, remaining)


def settle(text: str, edition: Edition, item: Item, *, context: CheckContext | None = None) -> Rewritten:
    """Check and mend in turn until no mendable block finding is left, within a bounded number of rounds.

    What eight rounds do not mend goes with its sentence. `remaining` are the findings of the final text.
    """
    applied: list[Finding] = []
    for round_number in range(_MOST_ROUNDS + _MOST_CUTS):
        findings = check(text, edition, item, context=context)
        mendable = tuple(finding for finding in findings if _is_mendable(finding))
        if not mendable:
            return Rewritten(text, tuple(applied), findings)
        applied.extend(mendable)
        if round_number < _MOST_ROUNDS:
            text = rewrite(text, mendable).text
        else:
            places = tuple(Span(finding.start, finding.end) for finding in mendable)
            text = _remove(text, places, whole_sentences=True)
    return Rewritten("", tuple(applied), ())


def _is_mendable(finding: Finding) -> bool:
    return finding.severity is Severity.BLOCK and finding.fix is not Fix.NONE


def _has_replacement(finding: Finding) -> bool:
    return finding.fix is Fix.REPLACE and bool(finding.suggestions)


def _replace(text: str, findings: Sequence[Finding]) -> tuple[str, tuple[Span, ...]]:
    """Put suggestions in; return the text and where in it the findings without a suggestion now are."""
    pieces: list[str] = []
    unlawful: list[Span] = []
    size = position = 0
    for finding in sorted(findings, key=lambda one: one.start):
        start, end = max(position, finding.start), max(position, finding.end)
        word = text[start:end]
        if _has_replacement(finding):
            word, end = _replacement(text, finding, end)
        else:
            unlawful.append(Span(size + start - position, size + start - position + len(word)))
        pieces += (text[position:start], word)
        size += start - position + len(word)
        position = end
    return "".join((*pieces, text[position:])), tuple(unlawful)


def _replacement(text: str, finding: Finding, end: int) -> tuple[str, int]:
    """Return what stands for a finding, its particle included, and where the text goes on."""
    word = finding.suggestions[0]
    if word:
        tail = hangul_run(text, end)
        return word + correct_particle(word, tail), end + len(tail)
    leaves_two_blanks = text[end : end + 1] == " " and text[max(0, finding.start - 1) : finding.start] in (
        "",
        " ",
        "\n",
    )
    return "", end + leaves_two_blanks


def _remove(text: str, unlawful: Sequence[Span], *, whole_sentences: bool = False) -> str:
    """Take out the clauses, or the whole sentences, that the spans touch."""
    if not unlawful:
        return text
    kept: list[str] = []
    end = 0
    for sentence, clauses in find_clauses_by_sentence(text):
        touched = _touched(clauses, unlawful)
        words = text[sentence.start : sentence.end] if not touched else None
        if touched and not whole_sentences:
            words = _without(text, clauses, touched)
        if words:
            kept += (text[end : sentence.start] if kept else "", words)
        end = sentence.end
    return "".join(kept)


def _touched(clauses: Sequence[Span], unlawful: Sequence[Span]) -> frozenset[Span]:
    touched: set[Span] = set()
    for clause in clauses:
        index = bisect_right(unlawful, clause.start, key=lambda span: span.end)
        if index < len(unlawful) and unlawful[index].start < clause.end:
            touched.add(clause)
    return frozenset(touched)


def _without(text: str, clauses: Sequence[Span], touched: frozenset[Span]) -> str | None:
    """Return a sentence without some clauses, or None where the rest would be no sentence."""
    lawful = [clause for clause in clauses if clause not in touched]
    if not lawful:
        return None
    words = [text[clause.start : clause.end] for clause in lawful]
    if lawful[-1] is not clauses[-1]:
        closed = to_noun_form(words[-1])
        if closed is None:
            return None
        words[-1] = f"{closed}."
    return " ".join(words)
