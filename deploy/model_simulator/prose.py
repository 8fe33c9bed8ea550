"""Simulated sentences of a Korean school record: the same prompt gives the same text."""

import re
from collections.abc import Iterable
from hashlib import sha256
from random import Random
from typing import Final, get_args

from deploy.model_simulator.generation_call import GenerationCall
from deploy.model_simulator.phrases import (
    FLAWED_SENTENCES,
    REPLACEMENTS,
    SENTENCES,
    UNREPLACEABLE,
    VIEWPOINT_SIGNALS,
    Viewpoint,
)
from deploy.model_simulator.subjects import pick_subjects

DEFAULT_CHAR_COUNT: Final = 450
_SMALLEST_TARGET: Final = 20
_LARGEST_TARGET: Final = 20_000
_SLOT: Final = re.compile(r"\{([ab])(?::(을|이|은|과|으로))?\}")
_PARTICLE_PAIRS: Final = {"을": ("을", "를"), "이": ("이", "가"), "은": ("은", "는"), "과": ("과", "와")}
_RANGE: Final = re.compile(r"(\d{2,5})\s*자?\s*[~∼〜–-]\s*(\d{2,5})\s*(?:글)?자")
_UPPER_LIMIT: Final = re.compile(
    r"(\d{1,2},\d{3}|\d{2,5})\s*(?:글)?자\s*(?:\([^)]{0,40}\)\s*)?(?:이내|이하|안|까지|를 넘)"
)
_PLAIN_COUNT: Final = re.compile(r"(\d{1,2},\d{3}|\d{2,5})\s*(?:글)?자")
_REWRITE: Final = re.compile(r"다시\s*쓰|다시\s*써|줄이|줄여")
_RECORD_SENTENCE: Final = re.compile(r"[^.\n]*[가-힣A-Za-z0-9][^.\n]*[함임음됨김남냄봄줌옮밝침짐듦늘삼씀남림룸움눔]\.")
_QUOTED: Final = re.compile(r"[‘'\"“「『]([^’'\"”」』\n]{2,30})[’'\"”」』]")


def write_text(call: GenerationCall) -> str:
    """Write what the simulated model answers; about one draft in three has a flaw, a rewrite has none."""
    random = seeded_random(call)
    if is_rewrite(call):
        draft = find_draft(call.notes) or find_draft(call.instructions)
        if draft:
            return rewrite_draft(draft, call)
    target = read_target(call)
    flaw = random.randrange(6) if not is_rewrite(call) else 5
    if flaw == 0:
        return compose(call, target, random, FLAWED_SENTENCES)
    if flaw == 1:
        return compose(call, int(target * random.uniform(1.12, 1.19)), random)
    return compose(call, target, random)


def write_clean_text(call: GenerationCall, scale: float = 1.0) -> str:
    """Write a draft without a flaw; `scale` stretches the length the prompt asks for."""
    return compose(call, int(read_target(call) * scale), seeded_random(call))


def write_flawed_text(call: GenerationCall) -> str:
    """Write a draft that is sure to hold a forbidden term."""
    return compose(call, read_target(call), seeded_random(call), FLAWED_SENTENCES)


def seeded_random(call: GenerationCall) -> Random:
    """Return the random source that belongs to a prompt."""
    return Random(int.from_bytes(sha256(call.seed_text.encode("utf-8", "replace")).digest()[:8]))  # noqa: S311  (not for secrets)


def is_rewrite(call: GenerationCall) -> bool:
    """Tell whether the prompt asks to rewrite or shorten a draft."""
    return bool(_REWRITE.search(call.instructions) or _REWRITE.search(call.notes))


def read_target(call: GenerationCall) -> int:
    """Return how many characters the prompt asks for; instructions come before notes."""
    for text in (call.instructions, call.notes):
        if found := _read_count(text):
            return min(found, _LARGEST_TARGET)
    return DEFAULT_CHAR_COUNT


def _read_count(text: str) -> int | None:
    if span := _RANGE.search(text):
        return (int(span[1]) + int(span[2])) // 2
    for pattern in (_UPPER_LIMIT, _PLAIN_COUNT):
        counts = [int(match[1].replace(",", "")) for match in pattern.finditer(text)]
        if counts := [count for count in counts if count >= _SMALLEST_TARGET]:
            return counts[0]
    return None


def choose_viewpoint(call: GenerationCall) -> Viewpoint:
    """Return the viewpoint the prompt names, or the one of the version's number."""
    names: tuple[Viewpoint, ...] = get_args(Viewpoint)
    for text in _viewpoint_lines(call):
        scores = {name: sum(signal in text for signal in VIEWPOINT_SIGNALS[name]) for name in names}
        best = max(names, key=lambda name: scores[name])
        if scores[best] > 0:
            return best
    version = call.metadata.get("version", "")
    return names[(int(version) - 1) % len(names)] if version.isdecimal() and len(version) < 6 else names[0]


def _viewpoint_lines(call: GenerationCall) -> Iterable[str]:
    for text in (call.instructions, call.notes):
        for line in text.splitlines():
            if "관점" in line:
                yield line


def compose(call: GenerationCall, char_count: int, random: Random, must_hold: tuple[str, ...] = ()) -> str:
    """Join sentences of the prompt's viewpoint to a text just under `char_count` characters."""
    aim = int(char_count * 0.98)
    supply = _Sentences(SENTENCES[choose_viewpoint(call)], pick_subjects(call.notes), random)
    sentences = [supply.fill(random.choice(must_hold))] if must_hold else []
    pool = [next(supply) for _ in range(40)]
    while _joined_length(sentences) + 110 < aim and pool:
        sentences.append(pool.pop(0))
        pool.append(next(supply))
    sentences.extend(_best_ending(pool, aim - _joined_length(sentences) - bool(sentences)))
    if must_hold and len(sentences) > 2:
        sentences.insert(random.randrange(1, len(sentences)), sentences.pop(0))
    return " ".join(sentences)


class _Sentences:
    """Endless sentences: every template and every subject once, in a drawn order, before any comes again."""

    def __init__(self, templates: tuple[str, ...], subjects: tuple[str, ...], random: Random) -> None:
        self._templates = _Rounds(templates, random)
        self._subjects = _Rounds(subjects, random)

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

    def __next__(self) -> str:
        if not self._left:
            self._left = list(self._items)
            self._random.shuffle(self._left)
        return self._left.pop()


def _best_ending(pool: list[str], room: int) -> list[str]:
    """Return the one or two sentences that fill the room best without passing it."""
    singles = [[sentence] for sentence in pool]
    pairs = [[first, second] for i, first in enumerate(pool) for second in pool[i + 1 :] if first != second]
    fitting = [choice for choice in singles + pairs if _joined_length(choice) <= room]
    if fitting:
        return max(fitting, key=_joined_length)
    return [min(pool, key=len)]


def _joined_length(sentences: list[str]) -> int:
    return sum(map(len, sentences)) + max(len(sentences) - 1, 0)


def choose_particle(word: str, particle: str) -> str:
    """Return the form of a particle that follows the word's last syllable."""
    final = (ord(word[-1]) - ord("가")) % 28 if "가" <= word[-1] <= "힣" else 0
    if particle == "으로":
        return "로" if final in (0, 8) else "으로"
    closed, opened = _PARTICLE_PAIRS[particle]
    return closed if final else opened


def find_draft(text: str) -> str:
    """Return the longest run of record sentences in a prompt, or nothing."""
    best: list[str] = []
    for line in text.splitlines():
        sentences = [sentence.strip() for sentence in _RECORD_SENTENCE.findall(line)]
        if _joined_length(sentences) > _joined_length(best):
            best = sentences
    return " ".join(best)


def rewrite_draft(draft: str, call: GenerationCall) -> str:
    """Return the draft without forbidden terms, and no longer than the prompt allows."""
    named = [term for term in _QUOTED.findall(call.notes + call.instructions) if len(term) < len(draft) // 2]
    sentences = [_replace_names(sentence.strip()) for sentence in _RECORD_SENTENCE.findall(draft)]
    clean = [sentence for sentence in sentences if not any(term in sentence for term in (*UNREPLACEABLE, *named))]
    kept: list[str] = []
    limit = read_target(call)
    for sentence in clean:
        if _joined_length([*kept, sentence]) <= limit:
            kept.append(sentence)
    return " ".join(kept) or write_clean_text(call)


def _replace_names(sentence: str) -> str:
    for name, general in REPLACEMENTS.items():
        sentence = sentence.replace(name, general)
    return sentence
