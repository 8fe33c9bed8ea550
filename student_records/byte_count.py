"""The bytes that a text takes in the record, and the one spelling in which texts are compared and counted.

The record counts 3 for a Korean letter, 1 for a Latin letter, a digit and Enter: the UTF-8 length of the
composed text. Many counters take Enter as 2; that is offered as `enter_bytes=2`.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

EnterBytes = Literal[1, 2]

_LONGEST_COMPOSED_RUN = 30
_NEW_LINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_HANGUL_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
_STRAIGHT = dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("“”„‟″", '"')


class ChangeKind(StrEnum):
    """What normalising did to a text."""

    SURROGATE = "surrogate"
    ENTER = "enter"
    INVISIBLE = "invisible"
    CONTROL = "control"
    SPACE = "space"
    QUOTE = "quote"
    COMPOSED = "composed"


_TITLES = {
    ChangeKind.SURROGATE: "깨진 문자를 �로 바꿈",
    ChangeKind.ENTER: "줄바꿈을 한 가지로 맞춤",
    ChangeKind.INVISIBLE: "보이지 않는 문자를 지움",
    ChangeKind.CONTROL: "제어 문자를 지움",
    ChangeKind.SPACE: "탭과 특수 공백을 빈칸으로 바꿈",
    ChangeKind.QUOTE: "둥근따옴표를 곧은따옴표로 바꿈",
    ChangeKind.COMPOSED: "풀어쓴 한글과 기호를 합침",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change, with its name for the user and the number of places where that is countable."""

    kind: ChangeKind
    title: str
    count: int


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text in its one spelling, and what was changed to get there."""

    text: str = field(repr=False)
    changes: tuple[Change, ...]


def normalise(text: str) -> Normalised:
    """Bring a text to its one spelling; the result normalises to itself."""
    changes: list[Change] = []

    def record(kind: ChangeKind, count: int) -> None:
        if count:
            changes.append(Change(kind, _TITLES[kind], count))

    for kind, is_meant, replacement in _REPLACEMENTS:
        text, count = _replace_characters(text, is_meant, replacement)
        record(kind, count)
        if kind is ChangeKind.SURROGATE:
            text, count = _NEW_LINES.subn("\n", text)
            record(ChangeKind.ENTER, count)
    composed = _compose(text)
    record(ChangeKind.COMPOSED, int(composed != text))
    return Normalised(composed, tuple(changes))


def count_bytes(text: str, enter_bytes: EnterBytes = 1) -> int:
    """Count the bytes of a text as the record does; a lone surrogate counts as the 3 bytes of its stand-in."""
    composed = _compose(text.replace("\r\n", "\n").replace("\r", "\n"))
    size = len(composed.encode("utf-8", "surrogatepass"))
    return size + composed.count("\n") * (enter_bytes - 1)


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _is_invisible(character: str) -> bool:
    is_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return unicodedata.category(character) == "Cf" or is_selector or character in _HANGUL_FILLERS


def _is_space(character: str) -> bool:
    return character == "\t" or (unicodedata.category(character) == "Zs" and character != " ")


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and character != "\n"


_REPLACEMENTS: tuple[tuple[ChangeKind, Callable[[str], bool], str | dict[str, str]], ...] = (
    (ChangeKind.SURROGATE, _is_surrogate, "\ufffd"),
    (ChangeKind.SPACE, _is_space, " "),
    (ChangeKind.INVISIBLE, _is_invisible, ""),
    (ChangeKind.CONTROL, _is_control, ""),
    (ChangeKind.QUOTE, _STRAIGHT.__contains__, _STRAIGHT),
)


def _replace_characters(
    text: str, is_meant: Callable[[str], bool], replacement: str | dict[str, str]
) -> tuple[str, int]:
    meant = {character for character in set(text) if is_meant(character)}
    if not meant:
        return text, 0
    table = {
        ord(character): replacement if isinstance(replacement, str) else replacement[character] for character in meant
    }
    return text.translate(table), sum(text.count(character) for character in meant)


def _compose(text: str) -> str:
    """Compose to NFC, except runs of marks so long that sorting them would take quadratic time."""
    if text.isascii():
        return text
    marks = "".join(sorted(character for character in set(text) if unicodedata.combining(character)))
    if not marks:
        return unicodedata.normalize("NFC", text)
    long_runs = re.compile(f"([{re.escape(marks)}]{{{_LONGEST_COMPOSED_RUN + 1},}})")
    pieces = long_runs.split(text)
    return "".join(piece if index % 2 else unicodedata.normalize("NFC", piece) for index, piece in enumerate(pieces))
