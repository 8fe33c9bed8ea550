import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.streamed_text import StreamedText, is_plain
from student_records.byte_count import normalise


def stream(*pieces: str) -> list[str]:
    streamed = StreamedText()
    return [streamed.feed(piece) for piece in pieces]


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (("자료를 ", "정리함."), ["자료를", " 정리함."]),
        (("\n\n 자료", "를"), ["자료", "를"]),
        (("가\r", "\n나"), ["가", "\n나"]),
        (("가\x00\u200b나",), ["가나"]),
        (("“가”\t나",), ['"가" 나']),
        (("가\ud83d", "\ude00나"), ["가", "😀나"]),
        (("가\ud83d", "나"), ["가", "\ufffd나"]),
        (("\ude00",), ["\ufffd"]),
        (("", "  ", "가"), ["", "", "가"]),
    ],
)
def test_pieces_are_cleaned_as_they_come(pieces: tuple[str, ...], shown: list[str]) -> None:
    assert stream(*pieces) == shown


@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=12), max_size=8))
def test_whatever_comes_can_be_published(pieces: list[str]) -> None:
    streamed = StreamedText()
    shown = "".join(streamed.feed(piece) for piece in pieces)
    assert shown.encode() is not None
    assert not any(character in shown for character in "\x00\r\t\u200b“")


def test_every_plain_character_is_its_own_spelling() -> None:
    plain = [character for character in map(chr, range(sys.maxunicode + 1)) if is_plain(character)]
    assert len(plain) == 11_172 + 95 + 1
    assert all(normalise(character).text == character for character in plain)


plain_texts = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E)
    | st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
    | st.just("\n")
)
any_texts = st.text(st.characters(exclude_categories=[]) | st.sampled_from("\u11a8\u1161\u0301\ud83d\r“"), max_size=20)


@given(plain_texts | any_texts)
def test_a_plain_text_is_its_own_spelling(text: str) -> None:
    assert not is_plain(text) or normalise(text).text == text


@given(st.lists(plain_texts, max_size=6), st.integers(0, 5))
def test_pieces_are_shown_the_same_whether_or_not_something_is_cleaned_from_them(pieces: list[str], at: int) -> None:
    """A zero-width space in each piece makes none of them plain."""
    cleaned = ["\u200b".join((piece[:at], piece[at:])) if piece.strip() else piece for piece in pieces]
    assert "".join(stream(*cleaned)) == "".join(stream(*pieces))


@given(st.lists(st.text("가나다라. ", max_size=8), max_size=10))
def test_a_clean_text_is_shown_as_it_is(pieces: list[str]) -> None:
    assert "".join(stream(*pieces)) == normalise("".join(pieces)).text.strip()
