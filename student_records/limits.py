"""How long a text may be: one limit for each edition, school level and item."""

from student_records.edition import Confidence, Edition, Limit
from student_records.errors import ItemNotOffered
from student_records.items import Item, SchoolLevel

__all__ = ["Confidence", "Item", "Limit", "SchoolLevel", "items_of", "limit_for", "title_of"]


def limit_for(edition: Edition, level: SchoolLevel, item: Item) -> Limit:
    """Return the limit of an item; raise ItemNotOffered where the level has no such item."""
    limit = edition.limits.get(level, {}).get(item)
    if limit is None:
        raise ItemNotOffered(edition.id, level, item)
    return limit


def items_of(edition: Edition, level: SchoolLevel) -> tuple[Item, ...]:
    """Return the items that a school level has, in the order of the record."""
    return tuple(item for item in Item if item in edition.limits.get(level, {}))


def title_of(edition: Edition, item: Item) -> str:
    """Return the Korean title of an item."""
    return edition.titles[item]
