"""What a model is asked: instructions of ours, and an input in which the teacher's words are fenced as data.

A model cannot aim at bytes, so it is given characters: a third of the limit. The fence cannot occur inside
the input, because every angle bracket there is escaped.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.findings import Finding
from student_records.edition import Edition
from student_records.items import Item, SchoolLevel
from student_records.limits import limit_for, title_of
from student_records.viewpoints import Viewpoint, viewpoint_of, viewpoints_for

__all__ = [
    "Prompt",
    "Viewpoint",
    "draft_prompt",
    "rewrite_prompt",
    "shorten_prompt",
    "target_characters_for",
    "viewpoint_of",
    "viewpoints_for",
]

_BYTES_OF_A_LETTER = 3
_MOST_LISTED_FINDINGS = 30
_LONGEST_LISTED_MATCH = 60
_LEVEL_TITLES = {SchoolLevel.MIDDLE: "중학교", SchoolLevel.HIGH: "고등학교"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call of a model: what it must do, and the material it does it with (never shown in a repr)."""

    instructions: str = field(repr=False)
    input: str = field(repr=False)


def target_characters_for(edition: Edition, level: SchoolLevel, item: Item, target_ratio: float = 1.0) -> int:
    """Return how many characters to ask a model for, so that Korean letters alone would fill the limit."""
    return max(1, int(limit_for(edition, level, item).bytes * target_ratio) // _BYTES_OF_A_LETTER)


def draft_prompt(
    edition: Edition,
    level: SchoolLevel,
    item: Item,
    viewpoint: Viewpoint,
    notes: str,
    target_ratio: float = 1.0,
) -> Prompt:
    """Ask for a first text from the teacher's notes, as long as `target_ratio` of the limit."""
    characters = target_characters_for(edition, level, item, target_ratio)
    instructions = _instructions(edition, level, item, viewpoint, edition.prompts.draft, characters)
    return Prompt(instructions, _fence(edition.prompts.fence_notes, notes))


def rewrite_prompt(
    edition: Edition,
    level: SchoolLevel,
    item: Item,
    viewpoint: Viewpoint,
    notes: str,
    draft: str,
    findings: Sequence[Finding],
    target_ratio: float = 1.0,
) -> Prompt:
    """Ask for the draft again without what the findings name; the notes are there for what may replace it."""
    characters = target_characters_for(edition, level, item, target_ratio)
    listed = "\n".join(_describe(edition, finding) for finding in findings[:_MOST_LISTED_FINDINGS])
    instructions = _instructions(edition, level, item, viewpoint, edition.prompts.rewrite, characters, findings=listed)
    return Prompt(instructions, _fence_both(edition, notes, draft))


def shorten_prompt(
    edition: Edition,
    level: SchoolLevel,
    item: Item,
    viewpoint: Viewpoint,
    notes: str,
    draft: str,
    target_characters: int,
) -> Prompt:
    """Ask for the draft again with about `target_characters` characters."""
    instructions = _instructions(edition, level, item, viewpoint, edition.prompts.shorten, target_characters)
    return Prompt(instructions, _fence_both(edition, notes, draft))


def _instructions(
    edition: Edition,
    level: SchoolLevel,
    item: Item,
    viewpoint: Viewpoint,
    task: tuple[str, ...],
    characters: int,
    findings: str = "",
) -> str:
    texts = edition.prompts
    lines = "\n".join((*texts.role, "", *task, "", *texts.obligations))
    return lines.format(
        level=_LEVEL_TITLES[level],
        item=title_of(edition, item),
        viewpoint=viewpoint.title,
        emphasis=viewpoint.emphasis,
        characters=characters,
        findings=findings,
        notes_opening=f"<{texts.fence_notes}>",
        notes_closing=f"</{texts.fence_notes}>",
        draft_opening=f"<{texts.fence_draft}>",
        draft_closing=f"</{texts.fence_draft}>",
    )


def _describe(edition: Edition, finding: Finding) -> str:
    suggestion = f" → {finding.suggestions[0]}" if finding.suggestions else ""
    matched = html.escape(finding.matched[:_LONGEST_LISTED_MATCH].replace("\n", " "))
    return edition.prompts.finding.format(matched=matched, reason=finding.reason, suggestion=suggestion)


def _fence_both(edition: Edition, notes: str, draft: str) -> str:
    texts = edition.prompts
    return f"{_fence(texts.fence_notes, notes)}\n\n{_fence(texts.fence_draft, draft)}"


def _fence(name: str, text: str) -> str:
    return f"<{name}>\n{html.escape(text, quote=False)}\n</{name}>"
