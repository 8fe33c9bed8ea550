"""The catalogue: what can be asked for, so that a page hardcodes nothing."""

from pydantic import BaseModel, ConfigDict, Field

from contracts.commands import MAX_NOTES_CHARACTERS, MAX_VERSION_COUNT
from producer_api.submission import DEFAULT_VERSION_COUNT
from student_records.edition import Confidence, Edition, known_school_years
from student_records.items import Item, SchoolLevel
from student_records.limits import items_of, limit_for, title_of

_LEVEL_TITLES = {SchoolLevel.MIDDLE: "중학교", SchoolLevel.HIGH: "고등학교"}


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True)


class CatalogueViewpoint(_Entry):
    """What one version looks at."""

    id: str
    title: str


class CatalogueLimit(_Entry):
    """How long a text may be; `confidence` says how sure that is (A best)."""

    characters: int
    bytes: int
    confidence: Confidence
    note: str


class CatalogueItem(_Entry):
    """One item of the record; version n takes the n-th viewpoint."""

    item: Item
    title: str
    limit: CatalogueLimit
    viewpoints: tuple[CatalogueViewpoint, ...]


class CatalogueLevel(_Entry):
    """The items of one school level, in the record's order."""

    school_level: SchoolLevel
    title: str
    items: tuple[CatalogueItem, ...]


class Catalogue(_Entry):
    """Everything a page needs to know before it submits."""

    edition: str
    school_year: int
    school_years: tuple[int, ...] = Field(description="All that have rules.")
    source: str
    simulated: bool = Field(description="Whether texts come from a simulator.")
    relay_url: str = Field(description="Where streams and snapshots are read.")
    notes_characters: int = Field(description="The longest notes.")
    version_count: int = Field(description="How many versions, unless the submission says so.")
    most_versions: int
    school_levels: tuple[CatalogueLevel, ...]


def catalogue_of(edition: Edition, relay_url: str, *, simulated: bool) -> Catalogue:
    """Return the catalogue of an edition."""
    return Catalogue(
        edition=edition.id,
        school_year=edition.school_year,
        school_years=known_school_years(),
        source=edition.source,
        simulated=simulated,
        relay_url=relay_url,
        notes_characters=MAX_NOTES_CHARACTERS,
        version_count=DEFAULT_VERSION_COUNT,
        most_versions=MAX_VERSION_COUNT,
        school_levels=tuple(_level(edition, level) for level in SchoolLevel if items_of(edition, level)),
    )


def _level(edition: Edition, level: SchoolLevel) -> CatalogueLevel:
    items = tuple(_item(edition, level, item) for item in items_of(edition, level))
    return CatalogueLevel(school_level=level, title=_LEVEL_TITLES[level], items=items)


def _item(edition: Edition, level: SchoolLevel, item: Item) -> CatalogueItem:
    limit = limit_for(edition, level, item)
    return CatalogueItem(
        item=item,
        title=title_of(edition, item),
        limit=CatalogueLimit(
            characters=limit.characters, bytes=limit.bytes, confidence=limit.confidence, note=limit.note
        ),
        viewpoints=tuple(CatalogueViewpoint(id=each.id, title=each.title) for each in edition.viewpoints[item]),
    )
