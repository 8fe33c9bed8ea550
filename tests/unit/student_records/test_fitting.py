import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student_records.byte_count import count_bytes, normalise
from student_records.fitting import fit, split_sentences

sentences = st.lists(
    st.text("가나다 abc,'", min_size=1, max_size=30).map(lambda text: f"시작{text.replace(chr(39), '')}함."),
    min_size=1,
    max_size=9,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("자료를 조사함. 결과를 발표함.", ("자료를 조사함.", "결과를 발표함.")),
        ("자료를 조사함.또한 결과를 발표함.", ("자료를 조사함.", "또한 결과를 발표함.")),
        ("값이 3.14임을 확인함. 기록함.", ("값이 3.14임을 확인함.", "기록함.")),
        ("'왜 그럴까? 더 찾자.'라고 적음. 기록함.", ("'왜 그럴까? 더 찾자.'라고 적음.", "기록함.")),
        ("1. 자료를 조사함. 2. 발표함.", ("1. 자료를 조사함.", "2. 발표함.")),
        ("조사함\n\n발표함", ("조사함", "발표함")),
        ("끝맺지 않은 글", ("끝맺지 않은 글",)),
        ("스스로 물음(왜?). 답을 찾음.", ("스스로 물음(왜?).", "답을 찾음.")),
    ],
)
def test_sentences_end_where_a_reader_sees_them_end(text: str, expected: tuple[str, ...]) -> None:
    assert split_sentences(text) == expected


def test_a_text_that_fits_is_left_alone() -> None:
    text = " 조사함.\n발표함. "
    assert fit(text, count_bytes(text)).text == text


def test_one_byte_over_the_limit_costs_a_sentence() -> None:
    text = "자료를 조사함. 발표함."
    fitted = fit(text, count_bytes(text) - 1)
    assert (fitted.text, fitted.dropped, fitted.fits) == ("자료를 조사함.", ("발표함.",), True)


def test_of_equal_sentences_the_last_goes_first() -> None:
    assert fit("가함. 나함. 다함.", 15).dropped == ("다함.",)


def test_a_single_sentence_that_is_too_long_is_not_cut() -> None:
    text = "가" * 600 + "함."
    fitted = fit(text, 1500)
    assert (fitted.text, fitted.dropped, fitted.fits) == (text, (), False)


def test_a_text_that_would_lose_most_of_itself_does_not_fit() -> None:
    assert not fit("가" * 600 + "함. 짧음.", 1500).fits


def test_the_careful_count_is_honoured() -> None:
    text = "조사함.\n발표함."
    assert fit(text, 21).text == text
    assert fit(text, 21, enter_bytes=2).text == "조사함. 발표함."


@given(sentences, st.integers(0, 400))
def test_what_fits_is_within_the_limit_and_a_subsequence_of_the_sentences(parts: list[str], limit: int) -> None:
    text = normalise(" ".join(parts)).text
    fitted = fit(text, limit)
    if not fitted.fits:
        assert fitted.text == text
        return
    assert count_bytes(fitted.text) <= limit
    remaining = iter(split_sentences(text))
    assert all(sentence in remaining for sentence in split_sentences(fitted.text))
    assert fit(text, limit) == fitted


@given(sentences, st.integers(0, 400))
def test_no_other_choice_of_sentences_would_keep_more(parts: list[str], limit: int) -> None:
    text = normalise(" ".join(parts)).text
    whole = split_sentences(text)
    fitted = fit(text, limit)
    if fitted.text == text:
        return
    choices = (count_bytes(" ".join(choice)) for count in range(len(whole)) for choice in combinations(whole, count))
    assert count_bytes(fitted.text) == max(size for size in choices if size <= limit)


@pytest.mark.parametrize("unit", ["가함. ", "가", "'.'", "1. ", "“함.", "함.함"])
def test_ten_megabytes_are_handled_in_linear_time(unit: str) -> None:
    text = unit * (10_000_000 // len(unit.encode()))
    started = time.perf_counter()
    fit(text, 1500)
    assert time.perf_counter() - started < 20
