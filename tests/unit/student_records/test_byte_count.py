import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student_records.byte_count import ChangeKind, count_bytes, normalise

VECTORS = [
    ("", 0),
    ("가", 3),
    ("ㄱ", 3),
    ("가\n나", 7),
    ("가\r\n나", 7),
    ("가\r나", 7),
    ("‘가’", 9),
    ("·", 2),
    ("…", 3),
    ("—", 3),
    ("①", 3),
    ("漢", 3),
    ("Ａ", 3),
    ("\u3000", 3),
    ("°", 2),
    ("é", 2),
    ("\u00a0", 2),
    ("😀", 4),
    ("🇰🇷", 8),
    ("👨‍👩‍👧", 18),
    (unicodedata.normalize("NFD", "각"), 3),
    ("\t", 1),
    ("a1 ", 3),
    ("\ud800", 3),
    ("가\udfff", 6),
]

texts = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.mark.parametrize(("text", "expected"), VECTORS)
def test_bytes_are_counted_as_the_record_counts_them(text: str, expected: int) -> None:
    assert count_bytes(text) == expected


def test_enter_counts_two_in_the_careful_count() -> None:
    assert count_bytes("가\r\n나\n", enter_bytes=2) == 10


@given(texts)
def test_the_careful_count_adds_one_for_each_enter(text: str) -> None:
    enters = text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    assert count_bytes(text, enter_bytes=2) - count_bytes(text) == enters


@given(texts)
def test_a_normalised_text_normalises_to_itself(text: str) -> None:
    once = normalise(text).text
    again = normalise(once)
    assert again.text == once
    assert again.changes == ()


@given(texts)
def test_a_normalised_text_is_plain_utf8_of_the_counted_size(text: str) -> None:
    plain = normalise(text).text
    assert len(plain.encode()) == count_bytes(plain)
    assert not {"\r", "\t", "\u00a0", "\u200b", "\x00"} & set(plain)


@pytest.mark.parametrize(
    ("text", "expected", "kind"),
    [
        ("가\ud800", "가\ufffd", ChangeKind.SURROGATE),
        ("가\r\n나\r다", "가\n나\n다", ChangeKind.ENTER),
        ("가\u2028나", "가\n나", ChangeKind.ENTER),
        ("토\u200b익", "토익", ChangeKind.INVISIBLE),
        ("\ufeff가\u202e나", "가나", ChangeKind.INVISIBLE),
        ("가\u3164나", "가나", ChangeKind.INVISIBLE),
        ("가\x00나\x1b", "가나", ChangeKind.CONTROL),
        ("가\u00a0나\t다", "가 나 다", ChangeKind.SPACE),
        ("‘가’ “나”", "'가' \"나\"", ChangeKind.QUOTE),
        (unicodedata.normalize("NFD", "각"), "각", ChangeKind.COMPOSED),
    ],
)
def test_each_change_is_made_and_named(text: str, expected: str, kind: ChangeKind) -> None:
    normalised = normalise(text)
    assert normalised.text == expected
    assert [change.kind for change in normalised.changes] == [kind]
    assert all(change.title and change.count > 0 for change in normalised.changes)


def test_nothing_is_named_where_nothing_changed() -> None:
    text = "책을 읽고 『사피엔스』를 소개함.\n느낀 점을 씀."
    assert normalise(text).text == text
    assert normalise(text).changes == ()


def test_a_text_of_only_invisible_characters_becomes_blank() -> None:
    assert normalise("\u200b\u3164 \ufeff\u2060\u00a0").text.strip() == ""


def test_a_long_run_of_marks_is_counted_in_linear_time() -> None:
    hostile = "가" + "\u0316\u0301" * 500_000
    started = time.perf_counter()
    assert count_bytes(hostile) == 3 + 4 * 500_000
    assert normalise(normalise(hostile).text).text == normalise(hostile).text
    assert time.perf_counter() - started < 5
