"""Subjects for simulated sentences, picked out of a teacher's notes."""

import re
from typing import Final

from deploy.model_simulator.phrases import FALLBACK_SUBJECTS, NOT_SUBJECTS, REPLACEMENTS, UNREPLACEABLE

_LONG_PARTICLES: Final = (
    "에서는", "에서도", "으로써", "에게서", "에서", "에게", "으로", "부터", "까지", "처럼", "보다", "마다", "이나",
)  # fmt: skip
_SHORT_PARTICLES: Final = tuple("과와을를이가의에도로만")
_NOUNS_LIKE_VERBS: Final = ("보고서", "설명서", "안내서", "계획서", "그래프")
_VERB_ENDINGS: Final = tuple("고며서여게면다지던려함음임됨한된할될해히는은")
_SHORT_VERBS: Final = ("하며", "하고", "해서", "하여", "하는", "했음", "됐음", "하게", "되어", "같은", "있는")
_VERB_STEMS: Final = ("하", "되", "함", "음", "임", "됨")
_HANGUL: Final = re.compile(r"[가-힣]{2,}")
_WORD: Final = re.compile(r"[가-힣A-Za-z0-9]+|[^\s가-힣A-Za-z0-9]+")
_SENTENCE: Final = re.compile(r"[^.!?\n]{2,2000}")
_INSTRUCTION: Final = re.compile(r"(세요|시오|하라|마라|한다|니다|않는다)\s*$|^\s*[#<\[{]")
_JOINING_SYLLABLES: Final = tuple("여려눠꿔춰워켜쳐")
_LONGEST_SUBJECT: Final = 14
_MOST_SUBJECTS: Final = 24


def pick_subjects(notes: str) -> tuple[str, ...]:
    """Return noun phrases of the notes in their order, or general ones when there are none."""
    found: dict[str, None] = {}
    for sentence in _SENTENCE.findall(notes):
        if _INSTRUCTION.search(sentence):
            continue
        for subject in _subjects_of(sentence):
            found[subject] = None
            if len(found) == _MOST_SUBJECTS:
                return tuple(found)
    return tuple(found) or FALLBACK_SUBJECTS


def _subjects_of(line: str) -> list[str]:
    subjects: list[str] = []
    run: list[str] = []
    for word in _WORD.findall(line):
        noun, ends_run = _read_word(word)
        if noun:
            run.append(noun)
        if ends_run or not noun:
            _close_run(run, subjects)
    _close_run(run, subjects)
    return subjects


def _close_run(run: list[str], subjects: list[str]) -> None:
    subject = " ".join(run[-2:])
    run.clear()
    if 2 <= len(subject) <= _LONGEST_SUBJECT and not _is_forbidden(subject):
        subjects.append(subject)


def _read_word(word: str) -> tuple[str, bool]:
    """Return the noun in a word, or nothing, and whether a particle ended the phrase."""
    if not _HANGUL.fullmatch(word) or word in NOT_SUBJECTS or _is_short_verb(word):
        return "", True
    if word.endswith(_NOUNS_LIKE_VERBS):
        return word, False
    stem = _strip(word, _LONG_PARTICLES)
    if stem == word:
        if len(word) >= 3 and word.endswith(_VERB_ENDINGS):
            return "", True
        stem = _strip(word, _SHORT_PARTICLES)
    if stem in NOT_SUBJECTS or stem.endswith(_VERB_STEMS):
        return "", True
    return stem, stem != word


def _is_short_verb(word: str) -> bool:
    return word.endswith(_SHORT_VERBS) or (len(word) == 2 and word.endswith(_JOINING_SYLLABLES))


def _strip(word: str, particles: tuple[str, ...]) -> str:
    for particle in particles:
        stem = word.removesuffix(particle)
        if stem != word and len(stem) >= 2:
            return stem
    return word


def _is_forbidden(subject: str) -> bool:
    return any(term in subject for term in (*REPLACEMENTS, *UNREPLACEABLE))
