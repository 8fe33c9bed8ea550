"""Making a text short enough by leaving whole sentences out.

What stays is the choice of sentences with the most bytes; among equal choices the one that keeps earlier
sentences, so that the middle and the end go first. The order stays, and no sentence is ever cut.
"""

from dataclasses import dataclass, field

from student_records.byte_count import EnterBytes, count_bytes
from student_records.sentences import split_sentences

__all__ = ["Fitted", "fit", "split_sentences"]

_MOST_CHARACTERS = 20_000
_MOST_SENTENCES = 400
_LEAST_KEPT = 0.5


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text within its limit and the sentences that it cost; without `fits` the text is the one handed in."""

    text: str = field(repr=False)
    dropped: tuple[str, ...] = field(repr=False)
    fits: bool


def fit(text: str, limit_bytes: int, enter_bytes: EnterBytes = 1) -> Fitted:
    """Leave out as little as brings a text within `limit_bytes`.

    A text that fits comes back unchanged. One that would lose more than half of the limit does not fit:
    a sentence in it is too long by itself, and only its author can shorten that. Only the first 400
    sentences within the first 20,000 characters can stay; the rest is left out.
    """
    if count_bytes(text, enter_bytes) <= limit_bytes:
        return Fitted(text, (), True)
    sentences = _considered(text)
    sizes = tuple(count_bytes(sentence) + 1 for sentence in sentences[:_MOST_SENTENCES])
    kept = _choose(sizes, limit_bytes + 1)
    result = " ".join(sentences[index] for index in sorted(kept))
    if count_bytes(result) < limit_bytes * _LEAST_KEPT:
        return Fitted(text, (), False)
    dropped = tuple(sentence for index, sentence in enumerate(sentences) if index not in kept)
    return Fitted(result, dropped, True)


def _considered(text: str) -> tuple[str, ...]:
    """Return the sentences to choose from: of a far too long text those of its head, not the one cut there."""
    head = split_sentences(text[:_MOST_CHARACTERS])
    return head if len(text) <= _MOST_CHARACTERS else head[:-1]


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
