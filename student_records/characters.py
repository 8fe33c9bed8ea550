"""Characters that a record does not hold: Chinese and other scripts, emoji, bullets and signs."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

from contracts.findings import Fix
from student_records.passage import Passage, Place
from student_records.rule_set import Reads, RuleSet
from student_records.sentences import Span

CHARACTER_KINDS: frozenset[Reads] = frozenset(("hanja", "script", "emoji", "symbol", "latin"))

_HANJA = r"\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IN_BRACKETS_OR_BARE = re.compile(rf" ?\([{_HANJA}]+\)|[{_HANJA}]+")
_LATIN_WORD = re.compile(r"(?<![A-Za-z0-9@._(/])[A-Za-z]{2,}(?![A-Za-z0-9@_/])")
_FULL_WIDTH = re.compile("[\uff01-\uff5e]+")
_FULL_WIDTH_DISTANCE = 0xFEE0
_FIRST_PICTOGRAPH = "\U0001f000"


def find_characters(passage: Passage, kind: Reads, rules: RuleSet) -> Iterator[Place]:
    """Find the places of one kind of characters, each a whole run of them."""
    if kind == "hanja":
        return _find_hanja(passage)
    if kind == "latin":
        return _find_latin(passage, rules)
    return _find_foreign(passage, _MEMBERS[kind], rules)


def _find_hanja(passage: Passage) -> Iterator[Place]:
    for match in _IN_BRACKETS_OR_BARE.finditer(passage.text):
        span = Span(match.start(), match.end())
        if match.group().endswith(")"):
            yield Place(span, Fix.REPLACE, ("",))
        else:
            yield Place(span, Fix.REWRITE)


def _find_latin(passage: Passage, rules: RuleSet) -> Iterator[Place]:
    permitted = frozenset(word.lower() for word in rules.permitted_latin)
    for match in _LATIN_WORD.finditer(passage.text):
        span = Span(match.start(), match.end())
        if match.group().lower() not in permitted and not passage.is_in_title(span):
            yield Place(span, Fix.REWRITE)


def _find_foreign(passage: Passage, is_member: Callable[[str], bool], rules: RuleSet) -> Iterator[Place]:
    for run in _foreign(rules.permitted_characters).finditer(passage.text):
        for start, end in _stretches(run.group(), is_member):
            span = Span(run.start() + start, run.start() + end)
            yield _place_of(passage.text, span)


def _place_of(text: str, span: Span) -> Place:
    signs = text[span.start : span.end]
    if any(unicodedata.category(sign).startswith("L") for sign in signs) and not _FULL_WIDTH.fullmatch(signs):
        return Place(span, Fix.REWRITE)
    if _FULL_WIDTH.fullmatch(signs):
        return Place(span, Fix.REPLACE, ("".join(chr(ord(sign) - _FULL_WIDTH_DISTANCE) for sign in signs),))
    return Place(span, Fix.REPLACE, ("",))


def _stretches(run: str, is_member: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    start = -1
    for index, character in enumerate(run):
        if is_member(character):
            start = index if start < 0 else start
        elif start >= 0:
            yield start, index
            start = -1
    if start >= 0:
        yield start, len(run)


@lru_cache(maxsize=8)
def _foreign(permitted: str) -> re.Pattern[str]:
    return re.compile(rf"[^가-힣ㄱ-ㆎA-Za-z0-9\s{_HANJA}{re.escape(permitted)}]+")


def _is_letter(character: str) -> bool:
    return unicodedata.category(character).startswith("L") and not _FULL_WIDTH.match(character)


def _is_emoji(character: str) -> bool:
    return character >= _FIRST_PICTOGRAPH and not _is_letter(character)


def _is_symbol(character: str) -> bool:
    return not _is_letter(character) and not _is_emoji(character)


_MEMBERS: dict[Reads, Callable[[str], bool]] = {
    "script": _is_letter,
    "emoji": _is_emoji,
    "symbol": _is_symbol,
}
