import json
from pathlib import Path

import pytest

from student_records.edition import load_edition
from student_records.items import Item, SchoolLevel
from student_records.limits import limit_for
from student_records.prompts import draft_prompt, viewpoints_for

NOTES = Path(__file__).parents[3] / "samples" / "notes"


@pytest.mark.parametrize("item", Item)
def test_every_item_has_three_or_more_believable_notes(item: Item) -> None:
    edition = load_edition(2026)
    sample = json.loads((NOTES / f"{item.value}.json").read_text("utf-8"))
    level = SchoolLevel(sample["school_level"])
    assert sample["item"] == item.value
    assert limit_for(edition, level, item)
    assert len(sample["notes"]) >= 3
    for note in sample["notes"]:
        assert note["title"]
        assert 150 <= len(note["text"]) <= 400
        viewpoint = viewpoints_for(edition, item)[0]
        assert note["text"] in draft_prompt(edition, level, item, viewpoint, note["text"]).input
