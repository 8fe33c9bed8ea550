"""How sentences end: in a noun form of a verb, with a full stop."""

from collections.abc import Iterator

from contracts.findings import Fix
from student_records.korean import ends_in_noun_form, is_hangul, to_sentence_ending
from student_records.passage import Passage, Place
from student_records.sentences import Span

_MARKS = ".!?… "
_CLOSERS = "'\")]」』》〉"
_LONGEST_SHOWN = 20


def find_endings(passage: Passage) -> Iterator[Place]:
    """Find the sentences that do not end in a noun form with a full stop."""
    for sentence in passage.sentences:
        place = _ending_of(passage.text, sentence)
        if place is not None:
            yield place


def _ending_of(text: str, sentence: Span) -> Place | None:
    whole = text[sentence.start : sentence.end]
    words = whole.rstrip(_MARKS + _CLOSERS)
    if not words or not is_hangul(words[-1]):
        return Place(_last_word(sentence, whole), Fix.REWRITE)
    end = sentence.start + len(words)
    if ends_in_noun_form(words):
        is_stopped = whole.endswith(".") and not whole.endswith("..")
        return None if is_stopped else Place(Span(end - 1, sentence.end), Fix.REPLACE, (f"{words[-1]}.",))
    known = to_sentence_ending(words)
    if known is None:
        return Place(_last_word(sentence, whole), Fix.REWRITE)
    ending, noun_form = known
    return Place(Span(end - len(ending), end), Fix.REPLACE, (noun_form,))


def _last_word(sentence: Span, whole: str) -> Span:
    start = max(whole.rfind(" ") + 1, len(whole) - _LONGEST_SHOWN, 0)
    return Span(sentence.start + start, sentence.end)
