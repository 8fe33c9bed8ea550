import json
import subprocess
import sys

import pytest

from student_records.edition import edition_of, known_school_years, load_edition
from student_records.errors import ItemNotOffered, UnknownSchoolYear, UnknownViewpoint
from student_records.limits import Item, SchoolLevel, items_of, limit_for, title_of
from student_records.viewpoints import viewpoint_of, viewpoints_for


@pytest.mark.parametrize(
    ("year", "level", "item", "characters"),
    [
        (2026, SchoolLevel.HIGH, Item.SUBJECT, 500),
        (2026, SchoolLevel.MIDDLE, Item.SUBJECT, 500),
        (2026, SchoolLevel.HIGH, Item.BEHAVIOR, 300),
        (2026, SchoolLevel.HIGH, Item.CAREER, 500),
        (2026, SchoolLevel.HIGH, Item.VOLUNTEER, 50),
        (2025, SchoolLevel.HIGH, Item.BEHAVIOR, 500),
        (2025, SchoolLevel.HIGH, Item.CAREER, 700),
        (2025, SchoolLevel.HIGH, Item.VOLUNTEER, 250),
    ],
)
def test_limits_follow_year_level_and_item(year: int, level: SchoolLevel, item: Item, characters: int) -> None:
    limit = limit_for(load_edition(year), level, item)
    assert limit.characters == characters
    assert limit.bytes == 3 * characters
    assert limit.source


@pytest.mark.parametrize("item", [Item.VOLUNTEER, Item.INDIVIDUAL])
def test_an_item_that_a_level_does_not_have_is_an_error(item: Item) -> None:
    edition = load_edition(2026)
    with pytest.raises(ItemNotOffered) as caught:
        limit_for(edition, SchoolLevel.MIDDLE, item)
    assert caught.value.item == item
    assert item not in items_of(edition, SchoolLevel.MIDDLE)


def test_an_unknown_school_year_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UnknownSchoolYear, match=r"1999.*2025, 2026"):
        load_edition(1999)


@pytest.mark.parametrize("edition_id", ["", "x", "1999.1", "２０２６.1", "../2026", "20260.1"])
def test_an_unknown_edition_id_is_an_error(edition_id: str) -> None:
    with pytest.raises(UnknownSchoolYear):
        edition_of(edition_id)


def test_a_corrected_edition_stands_in_for_an_older_one() -> None:
    assert edition_of("2026.0").id == load_edition(2026).id


@pytest.mark.parametrize("year", known_school_years())
def test_every_item_has_a_title_and_six_different_viewpoints(year: int) -> None:
    edition = load_edition(year)
    for item in Item:
        assert title_of(edition, item)
        viewpoints = viewpoints_for(edition, item, 6)
        assert len({viewpoint.id for viewpoint in viewpoints}) == 6
        assert len({viewpoint.title for viewpoint in viewpoints}) == 6
        assert viewpoints_for(edition, item) == viewpoints[:3]
        assert all(viewpoint_of(edition, item, viewpoint.id) == viewpoint for viewpoint in viewpoints)


@pytest.mark.parametrize("count", [0, 7, 1_000_000])
def test_more_viewpoints_than_there_are_is_an_error(count: int) -> None:
    with pytest.raises(UnknownViewpoint):
        viewpoints_for(load_edition(2026), Item.SUBJECT, count)


def test_an_unknown_viewpoint_is_an_error() -> None:
    with pytest.raises(UnknownViewpoint):
        viewpoint_of(load_edition(2026), Item.SUBJECT, "nothing")


def test_the_export_holds_every_edition_level_and_item() -> None:
    printed = subprocess.run([sys.executable, "-m", "student_records.export"], check=True, capture_output=True)
    editions = json.loads(printed.stdout)["editions"]
    assert [edition["school_year"] for edition in editions] == [2026, 2025]
    behavior = next(row for row in editions[0]["levels"]["high"] if row["item"] == "behavior")
    assert behavior["bytes"] == 900
    assert len(editions[0]["viewpoints"]["subject"]) == 6
