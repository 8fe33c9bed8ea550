"""A text prepared for the rules: its sentences and clauses, and where titles and exceptions stand in it."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from contracts.findings import Fix
from student_records.clauses import find_clauses
from student_records.quotes import find_quotes
from student_records.rule_set import RuleSet
from student_records.sentences import Span, find_sentences

_AUTHOR = re.compile(r"\s{0,2}\([^)\n]{1,40}\)")
_CUE_REACH = 20


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with what the rules ask of it; spans are in order and by code points."""

    text: str = field(repr=False)
    lowered: str = field(repr=False)
    sentences: tuple[Span, ...]
    clauses: tuple[Span, ...]
    titles: tuple[Span, ...]
    exceptions: tuple[Span, ...]

    def clause_at(self, position: int) -> Span:
        """Return the clause around a position, or an empty span between clauses."""
        return _around(self.clauses, position)

    def sentence_at(self, position: int) -> Span:
        """Return the sentence around a position, or an empty span between sentences."""
        return _around(self.sentences, position)

    def is_in_title(self, span: Span) -> bool:
        """Tell whether a span lies in the title of a work, or in the author's name behind it."""
        return _holds(self.titles, span)

    def is_excepted(self, span: Span) -> bool:
        """Tell whether a span lies in a phrase that the rules leave alone."""
        return _holds(self.exceptions, span)


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a reader of characters or endings found, with what can be done; no `reason` is the rule's."""

    span: Span
    fix: Fix
    suggestions: tuple[str, ...] = ()
    reason: str = ""


def read_passage(text: str, rules: RuleSet) -> Passage:
    """Prepare a text for the rules."""
    return Passage(
        text=text,
        lowered=text.lower(),
        sentences=find_sentences(text),
        clauses=find_clauses(text),
        titles=_find_titles(text, rules.title_cues),
        exceptions=_find_phrases(text, rules.exceptions),
    )


def _find_titles(text: str, cues: tuple[str, ...]) -> tuple[Span, ...]:
    titles: list[Span] = []
    for quote in find_quotes(text):
        author = _AUTHOR.match(text, quote.end)
        end = author.end() if author else quote.end
        following = text[quote.end : end + _CUE_REACH].partition(".")[0]
        if quote.is_bracketed or any(cue in following for cue in cues):
            titles.append(Span(quote.start, end))
    return _merge(titles)


def _find_phrases(text: str, phrases: tuple[str, ...]) -> tuple[Span, ...]:
    found: list[Span] = []
    for phrase in phrases:
        start = text.find(phrase)
        while start >= 0:
            found.append(Span(start, start + len(phrase)))
            start = text.find(phrase, start + len(phrase))
    return _merge(found)


def _merge(spans: list[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def _around(spans: tuple[Span, ...], position: int) -> Span:
    index = bisect_right(spans, position, key=lambda span: span.start) - 1
    if index >= 0 and position < spans[index].end:
        return spans[index]
    return Span(position, position)


def _holds(spans: tuple[Span, ...], span: Span) -> bool:
    around = _around(spans, span.start)
    return span.start < around.end and span.end <= around.end
