import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.findings import Finding, Fix, Severity
from student_records.edition import load_edition
from student_records.items import Item
from student_records.rules import MOST_CHARACTERS, CheckContext, Dismissal, check

EDITION = load_edition(2026)


def findings(text: str, item: Item = Item.SUBJECT, **context: tuple[object, ...]) -> tuple[Finding, ...]:
    return check(text, EDITION, item, context=CheckContext(**context))  # type: ignore[arg-type]  # built by keyword


def fired(text: str, item: Item = Item.SUBJECT) -> set[tuple[str, Severity]]:
    return {(finding.rule_id, finding.severity) for finding in findings(text, item)}


BLOCKED = [
    ("lang-test", "토익 900점을 목표로 공부함."),
    ("lang-test", "TOEIC 점수를 제출함."),
    ("lang-test", "토플에서 높은 결과를 얻음."),
    ("lang-test", "텝스를 준비함."),
    ("lang-test", "IELTS와 OPIc을 치름."),
    ("lang-test", "HSK 4급을 준비하며 중국어를 익힘."),
    ("lang-test", "한자능력검정시험 2급을 준비함."),
    ("contest", "수학경시대회에 참가하여 끝까지 문제를 풂."),
    ("contest", "과학 탐구 대회에서 발표를 맡음."),
    ("contest", "정보올림피아드 문제를 풀며 실력을 쌓음."),
    ("contest", "환경 공모전에 작품을 출품함."),
    ("contest", "토론 콘테스트에 참가함."),
    ("contest", "예선을 통과하여 본선에 진출함."),
    ("contest", "글쓰기에서 금상을 받음."),
    ("contest", "과학 발표에서 최우수상을 받음."),
    ("contest", "독후감으로 장려상을 수상함."),
    ("contest", "학급 리그에서 우승을 차지함."),
    ("contest", "교내 발표에서 입상함."),
    ("ext-award", "지역 기관에서 표창장을 받음."),
    ("ext-award", "감사장을 받음."),
    ("ext-award", "공로상을 받음."),
    ("cert-exam", "한국사능력검정시험 1급에 합격함."),
    ("cert-exam", "국어 인증시험에 응시함."),
    ("mock-exam", "모의고사 성적이 크게 향상됨."),
    ("mock-exam", "전국연합학력평가에서 2등급을 받음."),
    ("paper", "소금쟁이에 관한 논문을 학회지에 투고함."),
    ("paper", "학술지에 글이 게재됨."),
    ("book", "자신이 쓴 시집을 출간함."),
    ("book", "동화책을 직접 써서 출판함."),
    ("book", "ISBN을 받은 책을 만듦."),
    ("ip", "발명품으로 특허를 출원함."),
    ("ip", "디자인 등록을 마침."),
    ("ip", "실용신안을 등록함."),
    ("abroad", "방학 동안 어학연수를 다녀옴."),
    ("abroad", "해외 봉사에 참여함."),
    ("abroad", "교환학생으로 지낸 일을 발표함."),
    ("abroad", "해외 캠프에서 과학 수업을 들음."),
    ("family", "아버지가 의사로 일하여 의료에 관심을 가짐."),
    ("family", "변호사인 어머니에게 법을 배움."),
    ("family", "부모님이 운영하는 식당을 도움."),
    ("family", "가업을 잇겠다는 뜻을 밝힘."),
    ("family", "부유한 가정에서 자랐으나 검소함."),
    ("family", "어려운 가정 형편에도 성실함."),
    ("scholarship", "장학생으로 선발됨."),
    ("scholarship", "지역 재단의 장학금을 받음."),
    ("scholarship", "장학재단의 지원을 받음."),
    ("names", "서울대학교 연구실을 찾아감."),
    ("names", "카이스트에서 진행한 실험을 참관함."),
    ("names", "서울대 교수의 글을 소개함."),
    ("names", "UN의 보고서를 읽고 발표함."),
    ("names", "WHO가 낸 자료를 분석함."),
    ("names", "OECD 자료를 비교함."),
    ("names", "통계청의 자료를 활용함."),
    ("names", "유튜브를 활용하여 자료를 조사함."),
    ("names", "구글에서 자료를 찾음."),
    ("names", "챗GPT로 글의 초안을 비교함."),
    ("names", "넷플릭스의 사례를 발표함."),
    ("names", "스타벅스의 판매 전략을 분석함."),
    ("cert", "바리스타 자격증을 취득함."),
    ("cert", "컴퓨터활용능력 2급에 합격함."),
    ("cert", "정보처리기사 시험을 준비함."),
    ("cert", "MOS를 취득함."),
    ("cert", "ITQ를 준비함."),
    ("school-id", "○○고등학교 학생회에서 활동함."),
    ("school-id", "○○고 학생회에서 활동함."),
    ("school-id", "푸른들고등학교의 축제를 기획함."),
    ("ai-trace", "다음은 요청하신 초안입니다. 자료를 조사함."),
    ("ai-trace", "**탐구 과정** 자료를 조사함."),
    ("ai-trace", "## 탐구 과정\n자료를 조사함."),
    ("ai-trace", "반드시 지킬 것: 명사형으로 끝맺음."),
    ("mooc", "K-MOOC 강좌를 들음."),
    ("after-school", "방과후학교에서 수학을 배움."),
    ("academy", "영어학원에서 배운 표현을 발표함."),
    ("academy", "인강을 들으며 복습함."),
    ("academy", "과외를 받으며 실력을 쌓음."),
    ("report", "소논문을 작성하여 제출함."),
    ("rank", "시험에서 3등을 함."),
    ("rank", "전교 1등의 성적을 유지함."),
    ("rank", "상위 4%의 성취를 보임."),
    ("rank", "수행평가에서 만점을 받음."),
    ("rank", "1등급을 받음."),
    ("psych", "MBTI가 외향형으로 나타남."),
    ("psych", "ADHD를 이겨 내고 수업에 참여함."),
    ("private", "연락처는 010-1234-5678임."),
    ("private", "주민번호 080101-3234567을 적음."),
    ("private", "student@example.com으로 자료를 보냄."),
    ("private", "1학년 3반 12번 자리에서 발표함."),
    ("hanja", "동상(銅像)의 의미를 설명함."),
    ("hanja", "孝의 뜻을 설명함."),
    ("script", "こんにちは를 익혀 인사함."),
    ("emoji", "친구를 도움😀."),
    ("symbol", "① 자료를 조사함."),
    ("symbol", "조사 → 발표의 순서로 진행함."),
    ("symbol", "★자료를 조사함."),
]

REVIEWED = [
    ("paper", "관련 논문을 찾아 읽고 발표함."),
    ("mock-exam", "모의고사 문제를 친구에게 설명함."),
    ("names", "EBS 자료로 복습함."),
    ("names", "김한결 교수의 특강을 듣고 물음을 던짐."),
    ("private-life", "한부모와 지내며 동생을 돌봄."),
]

CLEAN = [
    "공인된 자료를 찾아 출처를 밝힘.",
    "광장에 세운 동상을 조사하고 의미를 설명함.",
    "중학생을 대상으로 설문을 진행함.",
    "만민공동회의 의의를 설명함.",
    "학급 확대회의에서 의견을 모음.",
    "본인 인증 방식을 설명함.",
    "자료의 백분위와 평균의 의미를 설명함.",
    "여러 출판사의 책을 비교하여 읽음.",
    "소설을 읽고 인물의 마음을 헤아려 발표함.",
    "특허 논쟁을 탐구하고 찬반의 근거를 정리함.",
    "해외 사례를 조사하여 비교함.",
    "부모의 소득이 자녀의 교육에 미치는 영향을 탐구함.",
    "가족 구성원의 역할을 역할극으로 표현함.",
    "교육청의 장학관이 맡은 일을 조사함.",
    "장학사의 역할을 설명함.",
    "교육부와 시·도교육청이 낸 자료를 비교함.",
    "국사편찬위원회의 자료를 읽고 정리함.",
    "『구글은 어떻게 일하는가』(에릭 슈미트)를 읽고 생각을 나눔.",
    "현대 사회의 기아 문제를 다룬 글을 씀.",
    "메타 인지를 활용하여 학습을 점검함.",
    "운전면허 제도를 조사하여 발표함.",
    "고등학교 교육과정의 변화를 정리함.",
    "인공지능의 원리를 설명하고 한계를 토의함.",
    "대학원 과정이 필요한 까닭을 조사함.",
    "2차 방정식의 풀이를 친구에게 설명함.",
    "과학사에서 세계 1등을 다툰 실험을 소개함.",
    "별의 1등급과 6등급의 밝기를 비교함.",
    "제품을 검사하는 방법을 설명함.",
    "이순신의 난중일기를 읽고 마음가짐을 정리함.",
    "깊은 인상을 받음.",
    "친구에게 자료를 보여 줌.",
    "도움을 줌으로써 함께 문제를 해결함.",
    "앨빈 토플러의 글을 읽고 생각을 정리함.",
    "과외활동의 의미를 설명함.",
    "CEO의 역할을 PPT로 발표하고 SNS의 장단점을 정리함.",
    "소금물의 농도가 30 %이고 온도가 25℃임을 기록함.",
    "지역 대학교의 역할을 조사함.",
    "인문계고등학교와 특성화고등학교의 차이를 조사함.",
    "사과, 배 등을 관찰하여 3등분함.",
    "니콜라 테슬라의 생애를 조사함.",
    "동물 실험을 다룬 토론에서 반론을 폄.",
    "수상한 점을 찾아 질문함.",
    "형편없는 기록을 고쳐 다시 정리함.",
    "광고의 표현을 살피고 최고 기온의 변화를 그래프로 나타냄.",
]


@pytest.mark.parametrize(("rule_id", "text"), BLOCKED)
def test_what_may_not_be_written_is_blocked(rule_id: str, text: str) -> None:
    assert (rule_id, Severity.BLOCK) in fired(text)


@pytest.mark.parametrize(("rule_id", "text"), REVIEWED)
def test_what_depends_on_the_context_is_for_review(rule_id: str, text: str) -> None:
    assert (rule_id, Severity.REVIEW) in fired(text)
    assert not any(severity is Severity.BLOCK for _, severity in fired(text))


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert fired(text) == set()


@pytest.mark.parametrize(
    ("rule_id", "text"),
    [
        ("ending", "자료를 조사하였다."),
        ("ending", "자료를 조사함"),
        ("ending", "자료를 조사하였음."),
        ("ending", "돋보이는 학생."),
        ("subject-word", "학생은 자료를 조사함."),
        ("first-person", "나는 자료를 조사함."),
        ("promise", "앞으로 더 성장할 것임."),
        ("promise", "앞으로의 성장이 기대됨."),
        ("superlative", "과제를 완벽하게 해냄."),
        ("inner-state", "배려의 뜻을 깨달음."),
        ("latin", "여러 teamwork 활동에 참여함."),
    ],
)
def test_style_is_advice(rule_id: str, text: str) -> None:
    assert (rule_id, Severity.STYLE) in fired(text)
    assert {severity for _, severity in fired(text)} == {Severity.STYLE}


def test_a_weakness_may_stand_with_its_change() -> None:
    assert ("weakness", Severity.STYLE) in fired("수업에서 산만함.", Item.BEHAVIOR)
    assert fired("산만하던 모습이 점차 나아짐.", Item.BEHAVIOR) == set()


def test_head_counts_and_hours_are_looked_at_in_creative_activities_only() -> None:
    text = "자율탐구로 4명이 12시간 동안 하천을 관찰함."
    assert ("report-size", Severity.REVIEW) in fired(text, Item.AUTONOMY)
    assert fired(text, Item.SUBJECT) == set()


def test_the_place_of_volunteering_may_be_named() -> None:
    assert fired("한국환경공단에서 환경 정화를 도움.", Item.VOLUNTEER) == set()
    assert ("names", Severity.BLOCK) in fired("한국환경공단에서 환경 정화를 도움.", Item.CLUB)


def test_a_finding_says_where_why_and_what_instead() -> None:
    (finding,) = findings("모둠에서 유튜브를 활용하여 자료를 조사함.")
    assert (finding.start, finding.end, finding.matched) == (5, 8, "유튜브")
    assert finding.clause == "3-타"
    assert finding.fix is Fix.REPLACE
    assert finding.suggestions == ("동영상 플랫폼",)
    assert "상호" in finding.reason
    assert finding.dismissible


def test_names_of_the_own_school_and_of_students_come_from_the_context() -> None:
    text = "솔빛고의 축제에서 김가온과 함께 무대를 꾸밈."
    assert findings(text) == ()
    found = findings(text, own_school_names=("솔빛고",), roster_names=("김가온", "*", "김"))
    assert [(one.rule_id, one.matched) for one in found] == [("school-id", "솔빛고"), ("private", "김가온")]


def test_a_dismissed_finding_stays_away_and_others_do_not() -> None:
    text = "유튜브를 보고 유튜브를 소개함."
    first, second = findings(text)
    assert findings(text, dismissals=(Dismissal("names", "유튜브"),)) == ()
    assert findings(text, dismissals=(Dismissal("names", "유튜브", first.start),)) == (second,)
    assert findings(text, dismissals=(Dismissal("contest", "유튜브"),)) == (first, second)


def test_what_cannot_be_dismissed_is_found_all_the_same() -> None:
    text = "다음은 초안입니다."
    assert ("ai-trace", "다음은 초안입니다") in {
        (one.rule_id, one.matched) for one in findings(text, dismissals=(Dismissal("ai-trace", "다음은 초안입니다"),))
    }


def test_text_beyond_what_is_read_is_a_finding_that_cannot_be_dismissed() -> None:
    found = findings("가" * MOST_CHARACTERS + "토익을 봄.")
    assert ("too-long", Severity.BLOCK, Fix.NONE) in {(one.rule_id, one.severity, one.fix) for one in found}
    assert not next(one for one in found if one.rule_id == "too-long").dismissible


alphabet = st.sampled_from(
    [
        *"가나다 .,'\"\n①★→漢a1*#",
        "토익",
        "대회에서",
        "유튜브",
        "를",
        "논문을",
        "투고함",
        "하고 ",
        "『",
        "』",
        "학생은 ",
        "\u200b",
        "\ud800",
    ]
)


@given(st.lists(alphabet, max_size=40).map("".join))
def test_findings_are_places_of_the_text_in_order_without_overlap(text: str) -> None:
    found = findings(text)
    assert found == findings(text)
    end = 0
    for finding in found:
        assert end <= finding.start < finding.end <= len(text)
        assert finding.matched == text[finding.start : finding.end]
        end = finding.end


@pytest.mark.parametrize(
    "unit",
    [
        "가",
        "토익 ",
        "대회",
        "아버지 의사 ",
        "'",
        "『",
        "유튜브를 보고, ",
        "1명이 ",
        "다음은 ",
        "a.b@",
        "①",
        "논문 ",
        "서울대학교",
        "\n",
    ],
)
def test_a_ten_megabyte_text_takes_a_moment(unit: str) -> None:
    text = unit * (10_000_000 // len(unit.encode()))
    started = time.perf_counter()
    findings(text)
    assert time.perf_counter() - started < 5


def test_every_suggestion_is_lawful_itself() -> None:
    for rule in EDITION.rules.rules:
        for signal in rule.signals:
            for suggestion in (*signal.suggestions, *(word for _, word in signal.replacements)):
                if suggestion.strip(" ,"):
                    assert fired(f"{suggestion} 자료를 찾음.") == set(), suggestion


def test_every_rule_explains_itself_and_has_an_id_of_its_own() -> None:
    ids = [rule.id for rule in EDITION.rules.rules]
    assert len(set(ids)) == len(ids)
    for rule in EDITION.rules.rules:
        assert rule.reason
        assert rule.clause
        assert rule.signals or rule.reads
