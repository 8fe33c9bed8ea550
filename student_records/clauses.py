"""The clauses of a text: what stands together inside a sentence, and can be taken out of it."""

import re
from functools import lru_cache

from student_records.korean import language
from student_records.sentences import Span, find_sentences, positions_inside_quotes, trim


def find_clauses(text: str) -> tuple[Span, ...]:
    """Find the clauses of a text, in order; none reaches over the end of a sentence."""
    return tuple(clause for _, clauses in find_clauses_by_sentence(text) for clause in clauses)


def find_clauses_by_sentence(text: str) -> tuple[tuple[Span, tuple[Span, ...]], ...]:
    """Find the sentences of a text, each with its clauses."""
    quoted = positions_inside_quotes(text)
    return tuple((sentence, _clauses_of(text, sentence, quoted)) for sentence in find_sentences(text))


def _clauses_of(text: str, sentence: Span, quoted: frozenset[int]) -> tuple[Span, ...]:
    clauses: list[Span] = []
    start = sentence.start
    for boundary in _boundaries().finditer(text, sentence.start, sentence.end):
        if boundary.start() in quoted:
            continue
        clauses.append(trim(text, start, boundary.end()))
        start = boundary.end()
    clauses.append(trim(text, start, sentence.end))
    return tuple(clause for clause in clauses if clause.start < clause.end)


@lru_cache(maxsize=1)
def _boundaries() -> re.Pattern[str]:
    connectives = "|".join(re.escape(ending) for ending in language().connectives)
    return re.compile(rf"(?<=[가-힣])(?:{connectives}),?(?=\s)|,(?=\s)")
