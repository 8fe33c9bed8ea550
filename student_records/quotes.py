"""Where a text quotes: titles of works in brackets, and words in straight quotation marks."""

import re
from dataclasses import dataclass

_LONGEST_QUOTE = 80
_BRACKETS = {"「": "」", "『": "』", "《": "》", "〈": "〉"}
_BRACKETED = re.compile(
    "|".join(
        f"{opening}[^{opening}{closing}\n]{{1,{_LONGEST_QUOTE}}}{closing}" for opening, closing in _BRACKETS.items()
    )
)
_MARKED = re.compile(f"'[^'\n]{{1,{_LONGEST_QUOTE}}}'|\"[^\"\n]{{1,{_LONGEST_QUOTE}}}\"")


@dataclass(frozen=True, slots=True, order=True)
class Quote:
    """A quoted stretch of a text, its marks included, by code points `[start, end)`."""

    start: int
    end: int
    is_bracketed: bool


def find_quotes(text: str) -> tuple[Quote, ...]:
    """Find the quoted stretches of a text, in order; an unclosed or very long quote is none."""
    bracketed = [Quote(match.start(), match.end(), True) for match in _BRACKETED.finditer(text)]
    marked = [Quote(match.start(), match.end(), False) for match in _MARKED.finditer(text)]
    return tuple(sorted(bracketed + marked))
