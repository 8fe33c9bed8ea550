"""The simulated texts: repeatable, believable, as long as asked."""

import re
from collections.abc import Iterator

import pytest

from deploy.model_simulator.generation_call import GenerationCall
from deploy.model_simulator.phrases import FLAWED_SENTENCES, REPLACEMENTS, SENTENCES, UNREPLACEABLE
from deploy.model_simulator.prompt import ends_in_noun_form, is_rewrite, read_draft, read_target, read_viewpoint
from deploy.model_simulator.prose import (
    choose_particle,
    write_clean_text,
    write_flawed_text,
    write_text,
)
from deploy.model_simulator.subjects import pick_subjects

NOTES = "삼투압 실험에서 감자 조각 농도를 바꿔 가며 질량 변화를 측정함. 조원 의견을 조율하고 그래프로 설명하였음."
FORBIDDEN = (*REPLACEMENTS, *UNREPLACEABLE)


def call(
    notes: str = NOTES, instructions: str = "관점: 탐구 과정\n분량: 450자 안팎", version: str = "1", **changes: str
) -> GenerationCall:
    return GenerationCall(
        api="responses",
        model="any",
        instructions=instructions,
        notes=notes,
        markers=(),
        stream=True,
        include_usage=False,
        max_output_tokens=None,
        metadata={"version": version, **changes},
        caller_tag=None,
        temperature=1.0,
    )


def many_calls(count: int = 120) -> Iterator[GenerationCall]:
    return (call(notes=f"{NOTES} {number}번째 수업") for number in range(count))


def sentences_of(text: str) -> list[str]:
    return re.findall(r"[^.]+\.", text)


def is_forbidden(text: str) -> bool:
    return any(term in text for term in FORBIDDEN)


def test_same_prompt_gives_the_same_text_whatever_the_attempt() -> None:
    assert write_text(call(attempt="1", task_id="a")) == write_text(call(attempt="2", task_id="b"))


def test_another_prompt_or_version_gives_another_text() -> None:
    texts = {write_text(call()), write_text(call(notes=NOTES + " 더")), write_text(call(version="2"))}
    assert len(texts) == 3


def test_every_template_ends_in_a_noun_form() -> None:
    templates = [*FLAWED_SENTENCES, *(template for family in SENTENCES.values() for template in family)]
    assert [template for template in templates if not ends_in_noun_form(template)] == []


def test_no_clean_template_holds_a_forbidden_term() -> None:
    templates = [template for family in SENTENCES.values() for template in family]
    assert [template for template in templates if is_forbidden(template)] == []
    assert all(is_forbidden(template) for template in FLAWED_SENTENCES)


def test_every_sentence_ends_in_a_noun_form_and_no_text_has_markup() -> None:
    for each in many_calls():
        text = write_text(each)
        assert all(ends_in_noun_form(sentence) for sentence in sentences_of(text))
        assert not re.search(r"[*#`<>\[\]{}\n|_]", text)


@pytest.mark.parametrize("char_count", [100, 150, 300, 450, 500, 1000, 3000])
def test_clean_text_is_within_five_per_cent_below_what_is_asked(char_count: int) -> None:
    for version in range(1, 21):
        asked = call(instructions=f"관점: 성장과 변화\n분량: {char_count}자 안팎", version=str(version))
        assert char_count * 0.95 <= len(write_clean_text(asked)) <= char_count


def test_a_tiny_length_still_gives_a_whole_sentence() -> None:
    text = write_clean_text(call(instructions="20자 이내"))
    assert ends_in_noun_form(text)


def test_about_one_draft_in_three_has_a_flaw() -> None:
    texts = [write_text(each) for each in many_calls(300)]
    forbidden = sum(is_forbidden(text) for text in texts)
    too_long = sum(len(text) > 1.2 * 450 for text in texts)
    assert 25 <= forbidden <= 80
    assert 25 <= too_long <= 80


def test_a_long_draft_passes_the_limit_in_bytes_by_a_tenth_or_two() -> None:
    long_texts = [text for each in many_calls() if len(text := write_text(each)) > 1.2 * 450]
    shares = [len(text.encode()) / (3 * 450) for text in long_texts]
    assert all(1.05 <= share <= 1.25 for share in shares)


def test_texts_speak_of_what_the_notes_say() -> None:
    text = write_clean_text(call())
    assert sum(subject in text for subject in ("삼투압 실험", "조각 농도", "질량 변화", "그래프")) >= 3


def test_viewpoints_write_different_sentences() -> None:
    viewpoints = ("탐구 과정", "협력과 소통", "성장과 변화")
    texts = [write_clean_text(call(instructions=f"관점: {name} – 과정과 변화\n450자")) for name in viewpoints]
    found = [
        {name for name, family in SENTENCES.items() for template in family if template.split("}")[-1] in text}
        for text in texts
    ]
    assert [names & {"inquiry", "cooperation", "growth"} for names in found] == [
        {"inquiry"},
        {"cooperation"},
        {"growth"},
    ]


def test_viewpoint_falls_back_to_the_number_of_the_version() -> None:
    found = [read_viewpoint(call(instructions="450자", version=version)) for version in ("1", "2", "3", "x", "²")]
    assert found == ["inquiry", "cooperation", "growth", "inquiry", "inquiry"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("공백을 포함하여 500자 안팎으로 쓰고", 500),
        ("500자(1,500바이트) 이내", 500),
        ("1,000자 이내", 1000),
        ("400~500자", 450),
        ("최소 100자, 최대 300자 이내", 300),
        ("3자 대화에 대한 글", 450),
        ("", 450),
    ],
)
def test_length_is_read_from_the_instructions(text: str, expected: int) -> None:
    assert read_target(call(instructions=text, notes="")) == expected


def test_instructions_win_over_numbers_in_the_notes() -> None:
    assert read_target(call(instructions="300자 안팎", notes="900자 글을 씀")) == 300


def test_particles_follow_the_last_syllable() -> None:
    pairs = [("실험", "을"), ("변화", "을"), ("교실", "으로"), ("의견", "으로"), ("그래프", "으로"), ("PPT", "을")]
    assert [choose_particle(word, particle) for word, particle in pairs] == ["을", "를", "로", "으로", "로", "를"]


def test_subjects_are_noun_phrases_without_forbidden_words() -> None:
    notes = "유튜브 영상을 보고 삼투압 실험에서 배움. 토익 점수. 보고서를 쓰세요\n다음 형식으로 작성하시오."
    subjects = pick_subjects(notes)
    assert "삼투압 실험" in subjects
    assert not any(is_forbidden(subject) for subject in subjects)


@pytest.mark.parametrize("notes", ["", "   ", "!!! ???", "\u200b", "a b c", "😀" * 50, "ㅋㅋㅋ", "가" * 20_000])
def test_any_notes_give_a_text(notes: str) -> None:
    assert ends_in_noun_form(write_text(call(notes=notes)))


class TestRewriting:
    DRAFT = "유튜브를 보고 삼투압을 정리함. 토익 공부를 병행함. 실험 결과를 표로 나타냄. 발표를 준비함."

    def fenced(self, instructions: str) -> GenerationCall:
        notes = f"<관찰기록>\n{NOTES}\n</관찰기록>\n\n<초안>\n{self.DRAFT}\n</초안>"
        return call(notes=notes, instructions=instructions)

    def test_replaces_names_and_drops_what_has_no_replacement(self) -> None:
        text = write_text(self.fenced("초안 전체를 다시 쓰십시오. 450자 안팎"))
        assert text.startswith("동영상 플랫폼을 보고 삼투압을 정리함.")
        assert "실험 결과를 표로 나타냄." in text
        assert not is_forbidden(text)

    def test_obeys_the_findings_that_the_prompt_lists(self) -> None:
        findings = '- "표로": 쓸 수 없음\n- "삼투압": 일반적인 말로 → 농도 차이'
        text = write_text(self.fenced(f"다시 쓰십시오.\n고칠 표현:\n{findings}\n450자 안팎"))
        assert "표로" not in text
        assert "농도 차이를 정리함." in text

    def test_shortens_to_whole_sentences_of_the_draft(self) -> None:
        text = write_text(self.fenced("40자 안팎이 되도록 초안 전체를 줄이십시오."))
        assert len(text) <= 40
        assert all(ends_in_noun_form(sentence) for sentence in sentences_of(text))

    def test_finds_a_draft_that_is_not_fenced(self) -> None:
        prompt = call(notes=f"아래 글을 다시 쓰세요.\n{self.DRAFT}", instructions="450자")
        assert len(read_draft(prompt)) == 4
        assert not is_forbidden(write_text(prompt))

    def test_notes_that_speak_of_reducing_are_no_order_to_rewrite(self) -> None:
        notes = "<관찰기록>\n쓰레기를 줄이는 활동을 함. 다시 쓰는 컵을 씀.\n</관찰기록>"
        assert not is_rewrite(call(notes=notes))

    def test_never_returns_a_flaw(self) -> None:
        for each in many_calls(60):
            flawed = write_flawed_text(each)
            assert is_forbidden(flawed)
            prompt = call(notes=f"<초안>\n{flawed}\n</초안>", instructions="다시 쓰십시오. 450자 안팎")
            assert not is_forbidden(write_text(prompt))
            assert len(write_text(prompt)) <= 450

    def test_a_rewrite_without_a_draft_is_a_clean_text(self) -> None:
        assert not is_forbidden(write_text(call(instructions="다시 쓰십시오. 450자")))
