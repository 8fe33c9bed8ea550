"""What a prompt asks for: length, viewpoint, the draft to write again and what to take out of it."""

import html
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, get_args

from deploy.model_simulator.generation_call import GenerationCall
from deploy.model_simulator.phrases import VIEWPOINT_SIGNALS, Viewpoint

DEFAULT_CHAR_COUNT: Final = 450
_SMALLEST_TARGET: Final = 20
_LARGEST_TARGET: Final = 20_000

_COUNT: Final = r"(\d{1,2},\d{3}|\d{2,5})"
_RANGE: Final = re.compile(r"(\d{2,5})\s*자?\s*[~∼〜–-]\s*(\d{2,5})\s*(?:글)?자")
_UPPER_LIMIT: Final = re.compile(_COUNT + r"\s*(?:글)?자\s*(?:\([^)]{0,40}\)\s*)?(?:이내|이하|안|까지|를 넘)")
_PLAIN_COUNT: Final = re.compile(_COUNT + r"\s*(?:글)?자")
_REWRITE: Final = re.compile(r"다시\s*쓰|다시\s*써|줄이|줄여")
_FENCE: Final = re.compile(r"<([^<>/\s]{1,20})>\n?(.*?)\n?</\1>", re.DOTALL)
_DRAFT_FENCES: Final = ("초안", "draft", "본문")
_FINDING: Final = re.compile(r'^\s*[-*]\s*["“‘\'](.{1,80}?)["”’\']\s*[:：][^→\n]*(?:→\s*(.{1,80}?))?\s*$', re.MULTILINE)
_RECORD_SENTENCE: Final = re.compile(r"[^.\n]*[가-힣][^.\n]*\.")


class Finding(NamedTuple):
    """Something to take out of a draft, and what may stand in its place."""

    term: str
    replacement: str | None


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
        for match in pattern.finditer(text):
            if (count := int(match[1].replace(",", ""))) >= _SMALLEST_TARGET:
                return count
    return None


def read_viewpoint(call: GenerationCall) -> Viewpoint:
    """Return the viewpoint the prompt names, or the one of the version's number."""
    names: tuple[Viewpoint, ...] = get_args(Viewpoint)
    for title in _viewpoint_titles(call):
        scores = {name: sum(signal in title for signal in VIEWPOINT_SIGNALS[name]) for name in names}
        best = max(names, key=lambda name: scores[name])
        if scores[best] > 0:
            return best
    version = call.metadata.get("version", "")
    return names[(int(version) - 1) % len(names)] if re.fullmatch(r"[0-9]{1,5}", version) else names[0]


def _viewpoint_titles(call: GenerationCall) -> Iterator[str]:
    for text in (call.instructions, call.notes):
        for line in text.splitlines():
            if "관점" in line:
                # What follows the dash explains the viewpoint in the words of others.
                yield line.partition(" – ")[0]


def read_observations(call: GenerationCall) -> str:
    """Return the teacher's own words: what is fenced and is no draft, or all of the input."""
    fenced = [html.unescape(text) for name, text in _FENCE.findall(call.notes) if name not in _DRAFT_FENCES]
    return "\n".join(fenced) or call.notes


def is_rewrite(call: GenerationCall) -> bool:
    """Tell whether the prompt asks to rewrite or shorten a draft; words inside a fence do not count."""
    return bool(_REWRITE.search(call.instructions) or _REWRITE.search(_FENCE.sub("", call.notes)))


def read_draft(call: GenerationCall) -> tuple[str, ...]:
    """Return the sentences of the draft in a prompt: what is fenced as one, else the longest line of sentences."""
    for name, text in _FENCE.findall(call.notes):
        if name in _DRAFT_FENCES:
            return _split_sentences(html.unescape(text))
    candidates = [_split_sentences(line) for line in (call.notes + "\n" + call.instructions).splitlines()]
    noun_forms = [sentences for sentences in candidates if any(map(ends_in_noun_form, sentences))]
    return max(noun_forms, key=lambda sentences: sum(map(len, sentences)), default=())


def _split_sentences(text: str) -> tuple[str, ...]:
    return tuple(sentence.strip() for sentence in _RECORD_SENTENCE.findall(text))


def ends_in_noun_form(sentence: str) -> bool:
    """Tell whether a sentence ends as records do: a syllable that closes in ㅁ, and a full stop."""
    last = sentence.rstrip()[-2:]
    return len(last) == 2 and last[1] == "." and "가" <= last[0] <= "힣" and (ord(last[0]) - ord("가")) % 28 in (10, 16)


def read_findings(call: GenerationCall) -> tuple[Finding, ...]:
    """Return what the prompt lists as `- "term": reason → replacement`."""
    listed = _FINDING.findall(call.instructions)
    return tuple(Finding(html.unescape(term), replacement or None) for term, replacement in listed)
