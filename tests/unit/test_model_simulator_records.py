"""The simulator under the product's own prompts and rules: what it writes gives both of them work, and no more."""

import orjson
import pytest

from contracts.findings import Severity
from deploy.model_simulator.generation_call import GenerationCall, read_call
from deploy.model_simulator.prompt import is_rewrite, read_target, read_viewpoint
from deploy.model_simulator.prose import write_clean_text, write_flawed_text, write_text
from student_records.edition import Edition, load_edition
from student_records.items import Item, SchoolLevel
from student_records.limits import limit_for
from student_records.prompts import (
    Prompt,
    draft_prompt,
    rewrite_prompt,
    shorten_prompt,
    target_characters_for,
    viewpoints_for,
)
from student_records.rules import check

NOTES = (
    "삼투압 실험에서 감자 조각 농도를 바꿔 가며 질량 변화를 측정함. 쓰레기를 줄이는 캠페인 포스터를 만듦.\n"
    "- 유튜브 보고 공부함, 토익 점수 언급\n- 발표 글을 세 번 다시 쓰며 그래프를 고침. 300자 소감문을 냄."
)
ITEMS = [Item.SUBJECT, Item.BEHAVIOR, Item.AUTONOMY, Item.CLUB, Item.CAREER]


@pytest.fixture(scope="module")
def edition() -> Edition:
    return load_edition(2026)


def as_call(prompt: Prompt, version: int) -> GenerationCall:
    body = {
        "model": "any",
        "instructions": prompt.instructions,
        "input": prompt.input,
        "metadata": {"version": str(version)},
    }
    return read_call("responses", orjson.dumps(body))


def drafts(edition: Edition, item: Item) -> list[GenerationCall]:
    viewpoints = viewpoints_for(edition, item, 6)
    return [
        as_call(draft_prompt(edition, SchoolLevel.HIGH, item, viewpoint, NOTES), number)
        for number, viewpoint in enumerate(viewpoints, 1)
    ]


@pytest.mark.parametrize("item", ITEMS)
def test_a_draft_is_asked_for_with_its_length_whatever_the_notes_say(edition: Edition, item: Item) -> None:
    for call in drafts(edition, item):
        assert not is_rewrite(call)
        assert read_target(call) == target_characters_for(edition, SchoolLevel.HIGH, item)


def test_the_first_three_viewpoints_of_a_subject_are_three_kinds_of_text(edition: Edition) -> None:
    assert [read_viewpoint(call) for call in drafts(edition, Item.SUBJECT)[:3]] == ["inquiry", "cooperation", "growth"]


@pytest.mark.parametrize("item", ITEMS)
def test_a_clean_text_keeps_every_rule_and_the_limit(edition: Edition, item: Item) -> None:
    for call in drafts(edition, item):
        text = write_clean_text(call)
        assert [finding.matched for finding in check(text, edition, item)] == []
        assert len(text.encode()) <= limit_for(edition, SchoolLevel.HIGH, item).bytes


@pytest.mark.parametrize("item", ITEMS)
def test_a_flawed_text_breaks_a_rule_and_a_rewrite_mends_it(edition: Edition, item: Item) -> None:
    for call, viewpoint in zip(drafts(edition, item), viewpoints_for(edition, item, 6), strict=True):
        draft = write_flawed_text(call)
        findings = [finding for finding in check(draft, edition, item) if finding.severity is Severity.BLOCK]
        assert findings != []
        prompt = rewrite_prompt(edition, SchoolLevel.HIGH, item, viewpoint, NOTES, draft, findings)
        assert check(write_text(as_call(prompt, 1)), edition, item) == ()


@pytest.mark.parametrize("item", ITEMS)
def test_a_text_that_is_too_long_is_shortened_when_asked(edition: Edition, item: Item) -> None:
    target = target_characters_for(edition, SchoolLevel.HIGH, item)
    for call, viewpoint in zip(drafts(edition, item), viewpoints_for(edition, item, 6), strict=True):
        draft = write_clean_text(call, scale=1.4)
        assert len(draft.encode()) > limit_for(edition, SchoolLevel.HIGH, item).bytes
        prompt = shorten_prompt(edition, SchoolLevel.HIGH, item, viewpoint, NOTES, draft, target)
        assert 0.7 * target < len(write_text(as_call(prompt, 1))) <= target
