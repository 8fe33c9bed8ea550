"""Where the sentences of a text begin and end."""

import re
from dataclasses import dataclass

from student_records.quotes import find_quotes

_END = re.compile(
    r"""[.!?…]+[)\]'"」』》〉]*(?=\s|$)"""  # a mark before a blank
    r"""|(?<=[가-힣])[.!?](?=[가-힣])"""  # a forgotten blank: …함.또한
    r"""|\n+"""
)
_NUMBERING = re.compile(r"\(?\d{1,3}\.")
_LONGEST_NUMBERING = 8


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of a text, by code points `[start, end)`."""

    start: int
    end: int


def split_sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text without the blanks between them."""
    return tuple(text[span.start : span.end] for span in find_sentences(text))


def find_sentences(text: str) -> tuple[Span, ...]:
    """Find the sentences of a text; a full stop in a quotation, a number or a numbering ends none."""
    quoted = positions_inside_quotes(text)
    spans: list[Span] = []
    start = 0
    for mark in _END.finditer(text):
        if not mark.group().startswith("\n") and (mark.start() in quoted or _is_numbering(text, start, mark.end())):
            continue
        spans.append(trim(text, start, mark.end()))
        start = mark.end()
    spans.append(trim(text, start, len(text)))
    return tuple(span for span in spans if span.start < span.end)


def positions_inside_quotes(text: str) -> frozenset[int]:
    """Return the positions between quotation marks."""
    return frozenset(position for quote in find_quotes(text) for position in range(quote.start + 1, quote.end - 1))


def trim(text: str, start: int, end: int) -> Span:
    """Return `[start, end)` without the blanks at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)


def _is_numbering(text: str, start: int, end: int) -> bool:
    beginning = text[start : min(end, start + _LONGEST_NUMBERING)].strip()
    return end - start <= _LONGEST_NUMBERING and _NUMBERING.fullmatch(beginning) is not None
