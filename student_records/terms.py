"""Finding words in Korean text, where no blank tells where a word ends.

A term stands where no letter of its own script goes on before it, and after a Korean one only particles
follow. `*` at an end of a term opens that end; a blank in it may be missing in the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from student_records.korean import hangul_run, is_hangul, is_particle_tail
from student_records.sentences import Span


@dataclass(frozen=True, slots=True)
class Term:
    """A word to look for, compiled."""

    key: str
    expression: re.Pattern[str]
    opens_left: bool
    opens_right: bool


@lru_cache(maxsize=8192)
def compile_term(source: str, exact_case: bool = False) -> Term:
    """Compile a term as it is written in the rules."""
    word = source.removeprefix("*").removesuffix("*")
    pieces = word.split(" ")
    flags = re.NOFLAG if exact_case else re.IGNORECASE
    return Term(
        key=max(pieces, key=len).lower(),
        expression=re.compile(" {0,2}".join(re.escape(piece) for piece in pieces), flags),
        opens_left=source.startswith("*"),
        opens_right=source.endswith("*"),
    )


def find_term(term: Term, text: str, lowered: str) -> Iterator[Span]:
    """Find a term where it stands as a word; `lowered` is the text in lower case."""
    if term.key not in lowered:
        return
    for match in term.expression.finditer(text):
        if _stands_alone(term, text, match.start(), match.end()):
            yield Span(match.start(), match.end())


def _stands_alone(term: Term, text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else ""
    after = text[end] if end < len(text) else ""
    left_ok = term.opens_left or not _goes_on(before, text[start])
    if not left_ok or (after and not term.opens_right and _is_latin(text[end - 1]) and _is_latin(after)):
        return False
    if term.opens_right or not is_hangul(text[end - 1]):
        return True
    return is_particle_tail(hangul_run(text, end))


def _goes_on(neighbour: str, own: str) -> bool:
    if not neighbour:
        return False
    return (is_hangul(neighbour) and is_hangul(own)) or (_is_latin(neighbour) and _is_latin(own))


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalpha()
