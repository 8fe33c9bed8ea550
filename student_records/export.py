"""Print what other places need of the editions: `python -m student_records.export` writes JSON."""

import json
import sys

from student_records.edition import Edition, known_school_years, load_edition
from student_records.items import Item, SchoolLevel
from student_records.limits import items_of, limit_for, title_of


def export_edition(edition: Edition) -> dict[str, object]:
    """Return an edition's items with their limits for each school level, and their viewpoints, as JSON values."""
    return {
        "id": edition.id,
        "school_year": edition.school_year,
        "source": edition.source,
        "levels": {
            level.value: [_export_item(edition, level, item) for item in items_of(edition, level)]
            for level in SchoolLevel
        },
        "viewpoints": {
            item.value: [viewpoint.model_dump(mode="json") for viewpoint in edition.viewpoints[item]] for item in Item
        },
    }


def export_all() -> dict[str, object]:
    """Return every known edition, newest first."""
    years = reversed(known_school_years())
    return {"editions": [export_edition(load_edition(year)) for year in years]}


def _export_item(edition: Edition, level: SchoolLevel, item: Item) -> dict[str, object]:
    limit = limit_for(edition, level, item).model_dump(mode="json")
    return {"item": item.value, "title": title_of(edition, item), **limit}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(export_all(), ensure_ascii=False, indent=2) + "\n")
