import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.findings import Fix, Severity
from student_records.edition import load_edition
from student_records.items import Item
from student_records.korean import correct_particle, to_noun_form
from student_records.rewriting import rewrite, settle
from student_records.rules import CheckContext, Dismissal, check

EDITION = load_edition(2026)


def settled(text: str) -> str:
    return settle(text, EDITION, Item.SUBJECT).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("유튜브를 활용하여 자료를 조사함.", "동영상 플랫폼을 활용하여 자료를 조사함."),
        ("유튜브는 도움이 됨.", "동영상 플랫폼은 도움이 됨."),
        ("유튜브가 쓰임.", "동영상 플랫폼이 쓰임."),
        ("유튜브와 책을 견줌.", "동영상 플랫폼과 책을 견줌."),
        ("유튜브로 발표함.", "동영상 플랫폼으로 발표함."),
        ("엑셀로 정리함.", "스프레드시트로 정리함."),
        ("통계청의 자료를 살핌.", "국가 통계 기관의 자료를 살핌."),
        ("줌으로 화상 회의를 함.", "화상회의 도구로 화상 회의를 함."),
        ("유네스코는 문화를 지킴.", "국제기구는 문화를 지킴."),
        ("서울대학교에서 실험을 참관함.", "대학에서 실험을 참관함."),
        ("○○고등학교를 소개함.", "학교를 소개함."),
        ("동상(銅像)을 조사함.", "동상을 조사함."),
        ("★ 자료를 조사함.", "자료를 조사함."),
        ("조사 → 발표의 순서로 진행함.", "조사, 발표의 순서로 진행함."),
        ("**탐구 과정**을 설명함.", "탐구 과정을 설명함."),
        ("친구를 도움😀.", "친구를 도움."),
    ],
)
def test_a_lawful_word_is_put_in_with_its_particle(text: str, expected: str) -> None:
    assert settled(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("토익 점수를 제출함. 영어 기사를 읽고 발표함.", "영어 기사를 읽고 발표함."),
        ("수학경시대회에 참가하고, 친구에게 풀이를 설명함.", "친구에게 풀이를 설명함."),
        ("친구에게 풀이를 설명하고, 수학경시대회에 참가함.", "친구에게 풀이를 설명함."),
        ("자료를 모으며 토익을 준비함.", "자료를 모음."),
        ("모형을 만들며 토익을 준비함.", "모형을 만듦."),
        ("장학금을 받으며 자료를 나누고 결과를 발표함.", "자료를 나누고 결과를 발표함."),
        ("글을 고치지만 토익을 준비함. 책을 읽음.", "책을 읽음."),
        ("장학생으로 선발됨.", ""),
        ("토익을 준비함. 유튜브를 소개함.", "동영상 플랫폼을 소개함."),
        ("유튜브를 소개하고, 전교 1등을 유지함.", "동영상 플랫폼을 소개함."),
    ],
)
def test_where_there_is_no_lawful_word_the_clause_or_its_sentence_goes(text: str, expected: str) -> None:
    assert settled(text) == expected


def test_review_and_style_are_left_to_the_teacher() -> None:
    text = "학생은 EBS 자료로 복습함."
    findings = check(text, EDITION, Item.SUBJECT)
    rewritten = rewrite(text, findings)
    assert rewritten.text == text
    assert rewritten.applied == ()
    assert rewritten.remaining == findings
    assert {finding.severity for finding in findings} == {Severity.REVIEW, Severity.STYLE}


def test_what_was_done_is_told() -> None:
    text = "토익을 준비하고, 유튜브를 소개함."
    rewritten = rewrite(text, check(text, EDITION, Item.SUBJECT))
    assert [finding.matched for finding in rewritten.applied] == ["토익", "유튜브"]
    assert rewritten.text == "동영상 플랫폼을 소개함."


def test_what_the_teacher_dismissed_stays() -> None:
    context = CheckContext(dismissals=(Dismissal("names", "유튜브"),))
    assert settle("유튜브를 봄.", EDITION, Item.SUBJECT, context=context).text == "유튜브를 봄."


@pytest.mark.parametrize(
    ("word", "tail", "expected"),
    [
        ("플랫폼", "를", "을"),
        ("플랫폼", "로부터", "으로부터"),
        ("기구", "은", "는"),
        ("기구", "이나", "나"),
        ("서울", "으로", "로"),
        ("대학", "와의", "과의"),
        ("대학", "에서", "에서"),
        ("대학", "", ""),
        ("회사", "이라는", "라는"),
        ("챗봇", "였음", "이었음"),
        ("도구 3", "를", "을"),
        ("API", "를", "를"),
        ("기관", "나라", "나라"),
    ],
)
def test_particles_follow_the_last_sound(word: str, tail: str, expected: str) -> None:
    assert correct_particle(word, tail) == expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("자료를 조사하고", "자료를 조사함"),
        ("책을 읽으며", "책을 읽음"),
        ("의견을 나누며,", "의견을 나눔"),
        ("모형을 만들면서", "모형을 만듦"),
        ("역할이 정해졌고", "역할이 정해졌음"),
        ("이에 대하여", None),
        ("사과,", None),
        ("", None),
    ],
)
def test_a_clause_becomes_a_sentence_where_that_is_sure(clause: str, expected: str | None) -> None:
    assert to_noun_form(clause) == expected


pieces = st.sampled_from(
    [
        *(
            "자료를 ",
            "조사하고 ",
            "친구와 ",
            "발표함.",
            "나누며, ",
            " ",
            ". ",
            ", ",
            "\n",
            "'",
            '"',
            "「",
            "」",
            "(",
            ")",
            "\u200b",
        ),
        *(
            "토익",
            "대회",
            "유튜브",
            "를 ",
            "구글",
            "은 ",
            "서울대학교",
            "논문을 ",
            "투고함.",
            "아버지가 ",
            "의사로 ",
            "일하며 ",
        ),
        *(
            "**",
            "# ",
            "★",
            "→",
            "漢",
            "(漢)",
            "😀",
            "전교 1등",
            "다음은 ",
            "초안입니다.",
            "010-1234-5678",
            "a@b.co",
            "한국",
            "환경",
            "공단",
        ),
    ]
)


@given(st.lists(pieces, max_size=30).map("".join))
def test_mending_converges_to_a_text_without_mendable_block_findings(text: str) -> None:
    result = settle(text, EDITION, Item.SUBJECT)
    again = check(result.text, EDITION, Item.SUBJECT)
    assert again == result.remaining
    assert not [one for one in again if one.severity is Severity.BLOCK and one.fix is not Fix.NONE]
    assert settle(result.text, EDITION, Item.SUBJECT).text == result.text


@given(st.lists(pieces, max_size=30).map("".join))
def test_a_text_without_block_findings_is_not_touched(text: str) -> None:
    findings = check(text, EDITION, Item.SUBJECT)
    lawful = [one for one in findings if one.severity is not Severity.BLOCK]
    assert rewrite(text, lawful).text == text


@pytest.mark.parametrize("unit", ["토익을 봄. ", "유튜브를 보고, ", "★", "유튜브", "다음은 초안입니다.", "토익 "])
def test_a_hostile_text_is_settled_in_a_moment(unit: str) -> None:
    started = time.perf_counter()
    settle(unit * 4000, EDITION, Item.SUBJECT)
    assert time.perf_counter() - started < 10
