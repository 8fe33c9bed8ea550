import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student_records.cleaning import strip_traces

PLAIN = "자료를 찾아 비교하고 결과를 발표함. 친구의 의견을 듣고 글을 고침."


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        f"다음은 요청하신 초안입니다.\n\n{PLAIN}",
        f"다음은 과목별 세부능력 및 특기사항 초안입니다: {PLAIN}",
        f"물론입니다!\n다음은 초안입니다:\n{PLAIN}",
        f"**초안**\n\n{PLAIN}",
        f"## 세부능력 및 특기사항\n{PLAIN}",
        f"```\n{PLAIN}\n```",
        f"```markdown\n{PLAIN}\n```\n",
        f"<p>{PLAIN}</p>",
        f"<script>alert('x')</script>{PLAIN}",
        f"<초안>\n{PLAIN}\n</초안>",
        f"초안: {PLAIN}",
        f'"{PLAIN}"',
        "- 자료를 찾아 비교하고 결과를 발표함.\n- 친구의 의견을 듣고 글을 고침.",
        "1. 자료를 찾아 비교하고 결과를 발표함.\n2. 친구의 의견을 듣고 글을 고침.",
        "자료를 찾아 **비교하고** 결과를 발표함. 친구의 `의견`을 듣고 글을 고침.",
        f"{PLAIN}\n\n(공백 포함 36자)",
        f"{PLAIN}\n\n추가로 수정이 필요하시면 말씀해 주세요.",
        f"반드시 지킬 것:\n관점: 탐구 과정\n{PLAIN}",
        f"{PLAIN}\n---\n",
        PLAIN.replace(". ", ".\n\n"),
    ],
)
def test_what_a_model_writes_around_the_text_goes(answer: str) -> None:
    assert strip_traces(answer) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "결과: 값이 3 * 4 = 12임을 확인함.",
        "'왜 그럴까?'라는 물음을 던지고 답을 찾음.",
        "a < b이고 b > c임을 보임.",
        "『침묵의 봄』(레이첼 카슨)을 읽고 환경 문제를 발표함.",
        '"왜 그럴까?"라는 물음을 던지고 "이렇게 하자"',
        "다음은 무엇을 물을지 스스로 적음.",
    ],
)
def test_a_text_that_only_looks_like_it_is_left_alone(text: str) -> None:
    assert strip_traces(text) == text


def test_markup_that_is_escaped_goes_too() -> None:
    assert strip_traces("&lt;b&gt;자료를 찾음.&lt;/b&gt;&#13;&#8203;") == "자료를 찾음."


@given(st.text(max_size=200))
def test_the_result_is_one_line(text: str) -> None:
    assert "\n" not in strip_traces(text)


@pytest.mark.parametrize(
    "unit",
    ["<a ", "**", "```", "- ", "다음은 ", "[", "[](", "<script>", "초안", "총 자", "필요하시면", "\n", " #", "가"],
)
def test_a_ten_megabyte_answer_takes_a_moment(unit: str) -> None:
    answer = unit * (10_000_000 // len(unit.encode()))
    started = time.perf_counter()
    strip_traces(answer)
    assert time.perf_counter() - started < 5
