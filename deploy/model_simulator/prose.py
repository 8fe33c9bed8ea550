"""Simulated sentences of a Korean school record: the same prompt gives the same text."""

import re
from hashlib import sha256
from random import Random
from typing import Final

from deploy.model_simulator.generation_call import GenerationCall
from deploy.model_simulator.phrases import FLAWED_SENTENCES, REPLACEMENTS, SENTENCES, UNREPLACEABLE
from deploy.model_simulator.prompt import (
    Finding,
    is_rewrite,
    read_draft,
    read_findings,
    read_observations,
    read_target,
    read_viewpoint,
)
from deploy.model_simulator.subjects import pick_subjects

_SLOT: Final = re.compile(r"\{([ab])(?::(을|이|은|과|으로))?\}")
_PARTICLE_PAIRS: Final = {"을": ("을", "를"), "이": ("이", "가"), "은": ("은", "는"), "과": ("과", "와")}
_POOL_COUNT: Final = 50
_TWO_SENTENCES_CHARS: Final = 85
_TOLERANCE: Final = 0.02
_TOO_LONG_SCALE: Final = (1.36, 1.46)
"""Blanks and stops are one byte, not three: only this much passes a limit in bytes by a tenth or two."""


def write_text(call: GenerationCall) -> str:
    """Write what the simulated model answers; about one draft in three has a flaw, a rewrite has none."""
    if is_rewrite(call):
        return rewrite_draft(call)
    random = seeded_random(call)
    flaw = random.randrange(6)
    if flaw == 0:
        return compose(call, read_target(call), random, FLAWED_SENTENCES)
    if flaw == 1:
        return compose(call, int(read_target(call) * random.uniform(*_TOO_LONG_SCALE)), random)
    return compose(call, read_target(call), random)


def write_clean_text(call: GenerationCall, scale: float = 1.0) -> str:
    """Write a draft without a flaw; `scale` stretches the length the prompt asks for."""
    return compose(call, int(read_target(call) * scale), seeded_random(call))


def write_flawed_text(call: GenerationCall) -> str:
    """Write a draft that is sure to hold a forbidden term."""
    return compose(call, read_target(call), seeded_random(call), FLAWED_SENTENCES)


def seeded_random(call: GenerationCall) -> Random:
    """Return the random source that belongs to a prompt."""
    digest = sha256(call.seed_text.encode("utf-8", "replace")).digest()
    return Random(int.from_bytes(digest[:8]))  # noqa: S311  (repeatable is the point; nothing here is a secret)


def compose(call: GenerationCall, char_count: int, random: Random, must_hold: tuple[str, ...] = ()) -> str:
    """Join sentences of the prompt's viewpoint to a text just under `char_count` characters."""
    aim = int(char_count * 0.98)
    supply = _new_supply(call, random)
    sentences = [supply.fill(random.choice(must_hold))] if must_hold else []
    pool = [next(supply) for _ in range(_POOL_COUNT)]
    while _joined_length(sentences) + _TWO_SENTENCES_CHARS < aim:
        sentences.append(pool.pop(0))
        pool.append(next(supply))
    used = _joined_length(sentences) + bool(sentences)
    # The pool's first round holds the templates this text has not used yet.
    left_in_round = -len(sentences) % supply.round_count or supply.round_count
    for choice in (pool[:left_in_round], pool):
        ending = _best_ending(choice, aim - used, char_count - used)
        if abs(_joined_length(ending) - (aim - used)) <= char_count * _TOLERANCE:
            break
    sentences.extend(ending)
    if must_hold and len(sentences) > 2:
        sentences.insert(random.randrange(1, len(sentences)), sentences.pop(0))
    return " ".join(sentences)


def rewrite_draft(call: GenerationCall) -> str:
    """Write the prompt's draft again without forbidden terms, and no longer than the prompt allows."""
    findings = (*read_findings(call), *(Finding(*pair) for pair in REPLACEMENTS.items()))
    supply = _new_supply(call, seeded_random(call))
    limit = read_target(call)
    kept: list[str] = []
    for sentence in read_draft(call):
        clean = _clean(sentence, findings) or next(supply)
        if clean not in kept and _joined_length([*kept, clean]) <= limit:
            kept.append(clean)
    return " ".join(kept) or write_clean_text(call)


def _clean(sentence: str, findings: tuple[Finding, ...]) -> str | None:
    """Return the sentence without what the findings name, or nothing if it has to go."""
    for term, replacement in findings:
        if term in sentence:
            if replacement is None:
                return None
            sentence = _replace(sentence, term, replacement)
    return None if any(term in sentence for term in UNREPLACEABLE) else sentence


def _replace(sentence: str, term: str, replacement: str) -> str:
    def put(found: re.Match[str]) -> str:
        pair = next((pair for pair in _PARTICLE_PAIRS.items() if found[1] in pair[1]), None) if found[1] else None
        return replacement + (choose_particle(replacement, pair[0]) if pair else "")

    return re.sub(re.escape(term) + r"([을를이가은는과와](?![가-힣]))?", put, sentence)


def _new_supply(call: GenerationCall, random: Random) -> "_Sentences":
    return _Sentences(SENTENCES[read_viewpoint(call)], pick_subjects(read_observations(call)), random)


class _Sentences:
    """Endless sentences: every template and every subject once, in a drawn order, before any comes again."""

    def __init__(self, templates: tuple[str, ...], subjects: tuple[str, ...], random: Random) -> None:
        self._templates = _Rounds(templates, random)
        self._subjects = _Rounds(subjects, random)

    @property
    def round_count(self) -> int:
        """Return how many sentences come before a template comes again."""
        return len(self._templates)

    def __next__(self) -> str:
        return self.fill(next(self._templates))

    def fill(self, template: str) -> str:
        """Put the next subjects into a template, with the particles that fit them."""
        words = {"a": next(self._subjects), "b": ""}
        if "{b" in template:
            words["b"] = next(self._subjects)
            if words["b"] == words["a"]:
                words["b"] = "활동 기록"

        def put(slot: re.Match[str]) -> str:
            word = words[slot[1]]
            return word + (choose_particle(word, slot[2]) if slot[2] else "")

        return _SLOT.sub(put, template)


class _Rounds:
    """Endless items in shuffled rounds."""

    def __init__(self, items: tuple[str, ...], random: Random) -> None:
        self._items = items
        self._random = random
        self._left: list[str] = []

    def __len__(self) -> int:
        return len(self._items)

    def __next__(self) -> str:
        if not self._left:
            self._left = list(self._items)
            self._random.shuffle(self._left)
        return self._left.pop()


def _best_ending(pool: list[str], aim: int, room: int) -> list[str]:
    """Return the one or two sentences whose length is nearest to the aim and not above the room."""
    best = [min(pool, key=len)]
    nearest = abs(len(best[0]) - aim) if len(best[0]) <= room else room + aim
    for index, first in enumerate(pool):
        for second in ("", *pool[index + 1 :]):
            length = len(first) + len(second) + bool(second)
            if length <= room and abs(length - aim) < nearest and first != second:
                best, nearest = ([first, second] if second else [first]), abs(length - aim)
    return best


def _joined_length(sentences: list[str]) -> int:
    return sum(map(len, sentences)) + max(len(sentences) - 1, 0)


def choose_particle(word: str, particle: str) -> str:
    """Return the form of a particle that follows the word's last syllable."""
    final = (ord(word[-1]) - ord("가")) % 28 if "가" <= word[-1] <= "힣" else 0
    if particle == "으로":
        return "로" if final in (0, 8) else "으로"
    closed, opened = _PARTICLE_PAIRS[particle]
    return closed if final else opened
