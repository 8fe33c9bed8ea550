import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Reason, Usage, VersionOutcome, VersionStatus
from stream_processors.ending import completed_count, most_telling, total_usage
from stream_processors.revision import count_hangul, echoes, least_letters, mend, shorter_target_characters
from student_records.byte_count import count_bytes
from student_records.edition import edition_of
from student_records.items import Item
from tests.support.fake_model import CLEAN_TEXT

EDITION = edition_of("2026.1")


def test_a_clean_text_stays() -> None:
    mended = mend(CLEAN_TEXT, EDITION, Item.SUBJECT)
    assert (mended.text, mended.unmended) == (CLEAN_TEXT, ())


def test_a_term_with_a_lawful_word_is_replaced_and_its_finding_is_gone() -> None:
    mended = mend(CLEAN_TEXT + " 유튜브 영상을 정리함.", EDITION, Item.SUBJECT)
    assert mended.text == CLEAN_TEXT + " 동영상 플랫폼 영상을 정리함."
    assert mended.unmended == ()


def test_a_text_of_which_too_little_would_stay_is_left_for_the_model() -> None:
    text = "토익 900점을 받음. 전교 1등을 함. 책을 읽음."
    mended = mend(text, EDITION, Item.SUBJECT)
    assert mended.text == text
    assert {finding.matched for finding in mended.unmended} >= {"토익"}
    assert set(mended.unmended) <= set(mended.findings)


@given(st.text("가나다라마 .", min_size=1, max_size=400), st.integers(30, 1500), st.integers(0, 5))
def test_the_target_of_a_shortening_fits_and_gets_no_longer(text: str, limit: int, shortened: int) -> None:
    target = shorter_target_characters(text, limit, shortened)
    assert 1 <= target <= max(1, len(text))
    assert target * count_bytes(text) / len(text) <= max(limit, 3)
    assert shorter_target_characters(text, limit, shortened + 1) <= target


@pytest.mark.parametrize(("text", "count"), [("", 0), ("가a나 1", 2), ("힣ㄱ", 1), ("漢字", 0)])
def test_only_korean_letters_count_as_text(text: str, count: int) -> None:
    assert count_hangul(text) == count
    assert least_letters(1500) == 25


def test_a_line_of_the_instructions_in_a_text_gives_it_away() -> None:
    instructions = "초안을 씁니다.\n- 관찰 기록에 있는 사실만 쓰고 추측을 더하지 않습니다.\n분량: 300자"
    assert echoes("네. 관찰 기록에 있는 사실만 쓰고 추측을 더하지 않습니다. 자료를 정리함.", instructions)
    assert not echoes("초안을 씁니다. 관찰 기록에 있는 사실만 적음. 분량: 300자", instructions)


def outcome(reason: Reason | None, version: int = 1) -> VersionOutcome:
    status = VersionStatus.FAILED if reason else VersionStatus.COMPLETED
    return VersionOutcome(version=version, status=status, reason=reason, usage=Usage(model="m", call_count=2))


def test_every_reason_has_a_rank() -> None:
    assert all(most_telling([outcome(reason)]) is reason for reason in Reason)


def test_what_somebody_can_act_on_is_told_first() -> None:
    failed = [outcome(Reason.DEADLINE), outcome(Reason.UNAUTHORISED), outcome(Reason.OVERLOADED)]
    assert most_telling(failed) is Reason.UNAUTHORISED
    assert most_telling([]) is Reason.INTERNAL


def test_counts_and_costs_add_up() -> None:
    outcomes = [outcome(None), outcome(Reason.TOO_LONG), outcome(None)]
    assert completed_count(outcomes) == 2
    assert total_usage(outcomes) == Usage(model="m", call_count=6)
