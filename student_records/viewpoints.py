"""What the versions of one text look at: each takes a viewpoint of its own."""

from student_records.edition import Edition, Viewpoint
from student_records.errors import UnknownViewpoint
from student_records.items import Item

__all__ = ["Viewpoint", "viewpoint_of", "viewpoints_for"]


def viewpoints_for(edition: Edition, item: Item, count: int = 3) -> tuple[Viewpoint, ...]:
    """Return the first `count` viewpoints of an item; raise UnknownViewpoint where it has fewer."""
    known = edition.viewpoints[item]
    if not 1 <= count <= len(known):
        raise UnknownViewpoint(item, f"number {count}", tuple(viewpoint.id for viewpoint in known))
    return known[:count]


def viewpoint_of(edition: Edition, item: Item, viewpoint_id: str) -> Viewpoint:
    """Return the viewpoint of an item with that id, or raise UnknownViewpoint."""
    known = edition.viewpoints[item]
    for viewpoint in known:
        if viewpoint.id == viewpoint_id:
            return viewpoint
    raise UnknownViewpoint(item, repr(viewpoint_id), tuple(viewpoint.id for viewpoint in known))
