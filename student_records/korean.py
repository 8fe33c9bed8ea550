"""What the rules need of the language: particles, and the noun forms in which a record's sentences end."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from student_records.datum import Datum

_FIRST_SYLLABLE = 0xAC00
_LAST_SYLLABLE = 0xD7A3
_FINALS = 28
_FINAL_RIEUL = 8
_FINAL_RIEUL_MIEUM = 10
_FINAL_MIEUM = 16
_DIGITS_WITH_FINAL = frozenset("013678")
_DIGITS_WITH_RIEUL = frozenset("178")
_LONGEST_TAIL = 8


class _LanguageFile(Datum):
    particles: tuple[str, ...]
    second_particles: tuple[str, ...]
    particle_pairs: tuple[tuple[str, str], ...]
    connectives: tuple[str, ...]
    noun_forms: dict[str, str]
    no_noun_form_before: dict[str, str]
    sentence_endings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Language:
    """The tables of the language file, in the order in which they are tried: longest first."""

    particles: frozenset[str]
    second_particles: frozenset[str]
    particle_pairs: tuple[tuple[str, str], ...]
    connectives: tuple[str, ...]
    noun_forms: tuple[tuple[str, str], ...]
    no_noun_form_before: tuple[tuple[str, str], ...]
    sentence_endings: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def language() -> Language:
    """Read the tables of the language."""
    text = resources.files("student_records").joinpath("data/language/korean.json").read_text("utf-8")
    file = _LanguageFile.model_validate(json.loads(text))
    return Language(
        particles=frozenset(file.particles),
        second_particles=frozenset(file.second_particles),
        particle_pairs=tuple(sorted(file.particle_pairs, key=lambda pair: -len(pair[0]))),
        connectives=tuple(sorted(file.connectives, key=len, reverse=True)),
        noun_forms=_longest_first(file.noun_forms),
        no_noun_form_before=tuple(file.no_noun_form_before.items()),
        sentence_endings=_longest_first(file.sentence_endings),
    )


def is_hangul(character: str) -> bool:
    """Tell whether a character is a Korean syllable or letter."""
    return "가" <= character <= "힣" or "ㄱ" <= character <= "ㆎ"


def hangul_run(text: str, start: int) -> str:
    """Return the Korean letters that follow `start`, at most one more than a tail of particles can have."""
    end = start
    while end < len(text) and end - start <= _LONGEST_TAIL and is_hangul(text[end]):
        end += 1
    return text[start:end]


def is_particle_tail(run: str) -> bool:
    """Tell whether the letters that follow a word are nothing, a particle, or two particles."""
    first, second = language().particles, language().second_particles
    return not run or run in first or any(run[:cut] in first and run[cut:] in second for cut in range(1, len(run)))


def correct_particle(word: str, tail: str) -> str:
    """Return the particles in `tail` in the form that they take after `word`: 유튜브+를, 플랫폼+을."""
    final = _final_of(word)
    if final is None:
        return tail
    for after_final, after_vowel in language().particle_pairs:
        is_to = after_final.startswith("으로")
        wanted = after_final if final and not (is_to and final == _FINAL_RIEUL) else after_vowel
        for form in (after_final, after_vowel):
            if tail.startswith(form) and is_particle_tail(tail):
                return wanted + tail[len(form) :]
    return tail


def ends_in_noun_form(word: str) -> bool:
    """Tell whether a word ends as a noun form of a verb does: in the final ㅁ."""
    return _final_of(word) in (_FINAL_MIEUM, _FINAL_RIEUL_MIEUM)


def to_noun_form(clause: str) -> str | None:
    """Return a clause that ends in a connective as one that ends a sentence, or None where that is unsure."""
    bare = clause.rstrip(" ,")
    for ending, noun_form in language().noun_forms:
        if bare.endswith(ending):
            stem = bare[: -len(ending)]
            return None if _is_no_verb(stem, ending) else f"{stem}{noun_form}"
    for ending in ("면서", "며"):
        stem = bare.removesuffix(ending)
        if stem != bare and stem and _final_of(stem[-1]) in (0, _FINAL_RIEUL):
            return stem[:-1] + _with_mieum(stem[-1])
    return None


def to_sentence_ending(sentence: str) -> tuple[str, str] | None:
    """Return the verbal ending of a sentence without its full stop and the noun form for it, if both are known."""
    for ending, noun_form in language().sentence_endings:
        if sentence.endswith(ending):
            return ending, noun_form
    return None


def _is_no_verb(stem: str, ending: str) -> bool:
    refused = dict(language().no_noun_form_before).get(ending, "")
    return not stem.strip() or stem[-1] in refused


def _with_mieum(syllable: str) -> str:
    final = _FINAL_RIEUL_MIEUM if _final_of(syllable) == _FINAL_RIEUL else _FINAL_MIEUM
    return chr((ord(syllable) - _FIRST_SYLLABLE) // _FINALS * _FINALS + _FIRST_SYLLABLE + final)


def _final_of(word: str) -> int | None:
    """Return the number of the last syllable's final consonant, 0 without one, None where nobody can say."""
    if not word:
        return None
    last = word[-1]
    if _FIRST_SYLLABLE <= ord(last) <= _LAST_SYLLABLE:
        return (ord(last) - _FIRST_SYLLABLE) % _FINALS
    if last in _DIGITS_WITH_RIEUL:
        return _FINAL_RIEUL
    if last.isascii() and last.isdigit():
        return 1 if last in _DIGITS_WITH_FINAL else 0
    return None


def _longest_first(table: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(table.items(), key=lambda pair: (-len(pair[0]), pair[0])))
