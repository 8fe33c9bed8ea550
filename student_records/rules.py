"""Checking a text against the rules of an edition: the same text and edition give the same findings.

A finding is a place, not a verdict: `block` may never stay, `review` is for the teacher to decide, `style`
is advice. The rules are data; what is code here is how words, clauses, titles and exceptions are read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from contracts.findings import Finding, Fix, Severity
from student_records.characters import CHARACTER_KINDS, find_characters
from student_records.edition import Edition
from student_records.endings import find_endings
from student_records.items import Item
from student_records.passage import Passage, Place, read_passage
from student_records.rule_set import Rule, RuleSet, Signal
from student_records.sentences import Span
from student_records.terms import compile_term, find_term

MOST_CHARACTERS = 20_000
_SHOWN_OF_UNREAD = 20
_ORDER = {Severity.BLOCK: 0, Severity.REVIEW: 1, Severity.STYLE: 2}


@dataclass(frozen=True, slots=True)
class Dismissal:
    """A finding that the teacher has looked at and let stand: at one place, or wherever its words occur."""

    rule_id: str
    matched: str = field(repr=False)
    start: int | None = None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What only the teacher's side knows: names of the own school, of its students, and dismissals."""

    own_school_names: tuple[str, ...] = field(default=(), repr=False)
    roster_names: tuple[str, ...] = field(default=(), repr=False)
    dismissals: tuple[Dismissal, ...] = field(default=(), repr=False)


def check(text: str, edition: Edition, item: Item, *, context: CheckContext | None = None) -> tuple[Finding, ...]:
    """Find what may not stay in a text, in the order of the text; spans are code points of `text` as given.

    The text should be normalised first. Only its first 20,000 characters are read; what is beyond them is
    one finding of its own, so that nothing unread can pass.
    """
    context = context or CheckContext()
    passage = read_passage(text[:MOST_CHARACTERS], edition.rules)
    found = [
        finding
        for rule in edition.rules.rules
        if rule.applies_to(item)
        for finding in _find_by_rule(passage, rule, edition, context)
    ]
    found.extend(_find_unread(text, edition))
    dismissals = frozenset(context.dismissals)
    return _without_covered([finding for finding in found if not _is_dismissed(finding, dismissals)])


def _is_dismissed(finding: Finding, dismissals: frozenset[Dismissal]) -> bool:
    return finding.dismissible and any(
        Dismissal(finding.rule_id, finding.matched, start) in dismissals for start in (None, finding.start)
    )


def _find_by_rule(passage: Passage, rule: Rule, edition: Edition, context: CheckContext) -> Iterator[Finding]:
    for signal in (*rule.signals, *_signals_of(rule, context)):
        yield from _find_by_signal(passage, rule, signal)
    for place in _places_of(passage, rule, edition.rules):
        signal = Signal(fix=place.fix, reason=place.reason)
        yield _finding(passage.text, rule, signal, place.span, place.suggestions)


def _places_of(passage: Passage, rule: Rule, rules: RuleSet) -> Iterator[Place]:
    if rule.reads in CHARACTER_KINDS:
        return find_characters(passage, rule.reads, rules)
    return find_endings(passage) if rule.reads == "endings" else iter(())


def _signals_of(rule: Rule, context: CheckContext) -> tuple[Signal, ...]:
    if rule.reads == "own-school":
        return tuple(Signal(terms=(term,), suggestions=("학교",)) for term in _terms(context.own_school_names))
    if rule.reads == "roster":
        return (Signal(terms=_terms(context.roster_names), in_titles=True),)
    return ()


def _terms(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names as terms; one letter is no name, and with `*` in it a name would be a pattern."""
    bare = (name.replace("*", "").strip() for name in names)
    return tuple(name for name in bare if len(name) > 1)


def _find_by_signal(passage: Passage, rule: Rule, signal: Signal) -> Iterator[Finding]:
    contexts: dict[Span, tuple[bool, bool]] = {}
    for span, suggestions in _occurrences(passage, signal):
        if passage.is_excepted(span) or (not signal.in_titles and passage.is_in_title(span)):
            continue
        if _is_followed_or_preceded(passage, signal, span):
            continue
        if _context_allows(passage, signal, span, contexts):
            yield _finding(passage.text, rule, signal, span, suggestions)


def _occurrences(passage: Passage, signal: Signal) -> Iterator[tuple[Span, tuple[str, ...]]]:
    if signal.pattern:
        for match in _compiled(signal.pattern, signal.exact_case).finditer(passage.text):
            group = "term" if "term" in match.re.groupindex else 0
            if match.start(group) < match.end(group):
                yield Span(match.start(group), match.end(group)), signal.suggestions
    for source in signal.terms:
        for span in find_term(compile_term(source, signal.exact_case), passage.text, passage.lowered):
            yield span, signal.suggestions
    for source, replacement in signal.replacements:
        for span in find_term(compile_term(source, signal.exact_case), passage.text, passage.lowered):
            yield span, (replacement,)


@lru_cache(maxsize=512)
def _compiled(pattern: str, exact_case: bool) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE | (re.NOFLAG if exact_case else re.IGNORECASE))


def _is_followed_or_preceded(passage: Passage, signal: Signal, span: Span) -> bool:
    is_followed = any(passage.text.startswith(words, span.end) for words in signal.not_before)
    return is_followed or any(passage.text.endswith(words, 0, span.start) for words in signal.not_after)


def _context_allows(passage: Passage, signal: Signal, span: Span, known: dict[Span, tuple[bool, bool]]) -> bool:
    at = passage.clause_at if signal.within == "clause" else passage.sentence_at
    around = at(span.start)
    stretch = Span(around.start, max(around.end, span.end))
    if stretch not in known:
        is_near = not signal.near or _has(passage, signal.near, stretch)
        known[stretch] = (is_near, not _has(passage, signal.unless, stretch))
    is_near, is_free = known[stretch]
    if is_near and signal.near and signal.reach:
        reach = Span(max(stretch.start, span.start - signal.reach), min(stretch.end, span.end + signal.reach))
        is_near = _has(passage, signal.near, reach)
    return is_near and is_free


def _has(passage: Passage, words: tuple[str, ...], span: Span) -> bool:
    return any(passage.text.find(word, span.start, span.end) >= 0 for word in words)


def _finding(text: str, rule: Rule, signal: Signal, span: Span, suggestions: tuple[str, ...]) -> Finding:
    fix = signal.fix or (Fix.REPLACE if suggestions else rule.fix)
    return Finding(
        rule_id=rule.id,
        category=rule.category,
        severity=signal.severity or rule.severity,
        start=span.start,
        end=span.end,
        matched=text[span.start : span.end],
        reason=signal.reason or rule.reason,
        clause=rule.clause,
        fix=fix,
        suggestions=suggestions,
        dismissible=rule.dismissible,
    )


def _find_unread(text: str, edition: Edition) -> Iterator[Finding]:
    if len(text) <= MOST_CHARACTERS:
        return
    rule = edition.rules.unread
    end = min(len(text), MOST_CHARACTERS + _SHOWN_OF_UNREAD)
    yield _finding(text, rule, Signal(), Span(MOST_CHARACTERS, end), ())


def _without_covered(found: list[Finding]) -> tuple[Finding, ...]:
    """Keep one finding for a place: the gravest, and among equals the longest."""
    kept: list[Finding] = []
    gravest_first = sorted(found, key=lambda one: (_ORDER[one.severity], one.start, -one.end, one.rule_id))
    taken = bytearray(max((finding.end for finding in found), default=0))
    for finding in gravest_first:
        if any(taken[finding.start : finding.end]):
            continue
        taken[finding.start : finding.end] = b"\x01" * (finding.end - finding.start)
        kept.append(finding)
    return tuple(sorted(kept, key=lambda one: (one.start, one.end, one.rule_id)))
