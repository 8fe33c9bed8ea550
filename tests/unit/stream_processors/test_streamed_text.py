import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.streamed_text import StreamedText
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


@given(st.lists(st.text("가나다라. ", max_size=8), max_size=10))
def test_a_clean_text_is_shown_as_it_is(pieces: list[str]) -> None:
    assert "".join(stream(*pieces)) == normalise("".join(pieces)).text.strip()
