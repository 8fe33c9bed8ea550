"""Making a text short enough by leaving whole sentences out.

What stays is the choice of sentences with the most bytes; among equal choices the one that keeps earlier
sentences, so that the middle and the end go first. The order stays, and no sentence is ever cut.
"""

import re
from dataclasses import dataclass

from student_records.byte_count import EnterBytes, count_bytes
from student_records.quotes import find_quotes

_MOST_SENTENCES = 400
_LEAST_KEPT = 0.5
_END = re.compile(
    r"""[.!?…]+[)\]'"」』》〉]*(?=\s|$)"""  # a mark before a blank
    r"""|(?<=[가-힣])[.!?](?=[가-힣])"""  # a forgotten blank: …함.또한
    r"""|\n+"""
)
_NUMBERING = re.compile(r"\(?\d{1,3}\.")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text within its limit and the sentences that it cost; without `fits` the text is the one handed in."""

    text: str
    dropped: tuple[str, ...]
    fits: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, by code points `[start, end)`."""

    start: int
    end: int


def split_sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text without the blanks between them."""
    return tuple(text[span.start : span.end] for span in find_sentences(text))


def find_sentences(text: str) -> tuple[Span, ...]:
    """Find the sentences of a text; a full stop in a quotation, a number or a numbering ends none."""
    quoted = _inside_quotes(text)
    spans: list[Span] = []
    start = 0
    for end in _END.finditer(text):
        is_line_end = end.group().startswith("\n")
        is_numbering = _NUMBERING.fullmatch(text[start : min(end.end(), start + 8)].strip()) is not None
        if not is_line_end and (is_numbering or end.start() in quoted):
            continue
        spans.append(_trim(text, start, end.end()))
        start = end.end()
    spans.append(_trim(text, start, len(text)))
    return tuple(span for span in spans if span.start < span.end)


def fit(text: str, limit_bytes: int, enter_bytes: EnterBytes = 1) -> Fitted:
    """Leave out as little as brings a text within `limit_bytes`.

    A text that fits comes back unchanged. One that would lose more than half of the limit does not fit:
    a sentence in it is too long by itself, and only its author can shorten that. Of a text with more than
    400 sentences the rest is left out.
    """
    if count_bytes(text, enter_bytes) <= limit_bytes:
        return Fitted(text, (), True)
    sentences = split_sentences(text)
    sizes = tuple(count_bytes(sentence) + 1 for sentence in sentences[:_MOST_SENTENCES])
    kept = _choose(sizes, limit_bytes + 1)
    result = " ".join(sentences[index] for index in sorted(kept))
    if count_bytes(result) < limit_bytes * _LEAST_KEPT:
        return Fitted(text, (), False)
    dropped = tuple(sentence for index, sentence in enumerate(sentences) if index not in kept)
    return Fitted(result, dropped, True)


def _choose(sizes: tuple[int, ...], room: int) -> frozenset[int]:
    """Choose the indexes with the greatest total size within `room`, the earlier ones where totals are equal."""
    within = (1 << (room + 1)) - 1
    reachable = [1]  # bit n: the sizes from here to the end can total n
    for size in reversed(sizes):
        reachable.append(reachable[-1] | (reachable[-1] << size if size <= room else 0) & within)
    reachable.reverse()
    target = reachable[0].bit_length() - 1
    kept: set[int] = set()
    for index, size in enumerate(sizes):
        if size <= target and reachable[index + 1] >> (target - size) & 1:
            kept.add(index)
            target -= size
    return frozenset(kept)


def _inside_quotes(text: str) -> frozenset[int]:
    return frozenset(position for quote in find_quotes(text) for position in range(quote.start + 1, quote.end - 1))


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)
