"""An edition: the rules of one school year, read from the data files of this package."""

import json
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TypeVar

from pydantic import Field, ValidationError

from student_records.datum import Datum
from student_records.errors import BrokenEdition, UnknownSchoolYear
from student_records.items import Item, SchoolLevel
from student_records.rule_set import RuleSet


class Confidence(StrEnum):
    """How sure a limit is: A several independent sources agree, B one credible source, C unsure."""

    A = "A"
    B = "B"
    C = "C"


class Limit(Datum):
    """How long the text of an item may be: bytes decide, characters are what people say."""

    characters: int = Field(gt=0)
    bytes: int = Field(gt=0)
    source: str
    confidence: Confidence
    note: str = ""


class Viewpoint(Datum):
    """What one version of a draft looks at: its title for the teacher and its emphasis for the model."""

    id: str
    title: str
    emphasis: str


class PromptTexts(Datum):
    """The sentences that prompts are made of; lines, with `{names}` filled in by `prompts`."""

    role: tuple[str, ...]
    draft: tuple[str, ...]
    rewrite: tuple[str, ...]
    shorten: tuple[str, ...]
    obligations: tuple[str, ...]
    finding: str
    fence_notes: str
    fence_draft: str


class Edition(Datum):
    """The rules of one school year, with the id that results name."""

    id: str
    school_year: int
    source: str
    titles: dict[Item, str]
    limits: dict[SchoolLevel, dict[Item, Limit]]
    viewpoints: dict[Item, tuple[Viewpoint, ...]]
    prompts: PromptTexts
    rules: RuleSet


class _EditionFile(Datum):
    id: str
    school_year: int
    source: str
    limits: str
    viewpoints: str
    prompts: str
    rules: str


class _LimitsFile(Datum):
    titles: dict[Item, str]
    limits: dict[SchoolLevel, dict[Item, Limit]]


class _ViewpointsFile(Datum):
    viewpoints: dict[Item, tuple[Viewpoint, ...]]


_DatumT = TypeVar("_DatumT", bound=Datum)


def known_school_years() -> tuple[int, ...]:
    """List the school years that have an edition, oldest first."""
    names = (entry.name for entry in _data().joinpath("editions").iterdir())
    return tuple(sorted(int(name.removesuffix(".json")) for name in names if name.endswith(".json")))


@lru_cache(maxsize=8)
def load_edition(school_year: int) -> Edition:
    """Read the edition of a school year.

    Raises UnknownSchoolYear where there is none, BrokenEdition where its data files do not fit together.
    """
    if school_year not in known_school_years():
        raise UnknownSchoolYear(school_year, known_school_years())
    head = _read(f"editions/{school_year}.json", _EditionFile)
    limits = _read(head.limits, _LimitsFile)
    return Edition(
        id=head.id,
        school_year=head.school_year,
        source=head.source,
        titles=limits.titles,
        limits=limits.limits,
        viewpoints=_read(head.viewpoints, _ViewpointsFile).viewpoints,
        prompts=_read(head.prompts, PromptTexts),
        rules=_read(head.rules, RuleSet),
    )


def edition_of(edition_id: str) -> Edition:
    """Return the edition that an id such as `2026.1` names; a corrected edition stands in for an older one.

    Raises UnknownSchoolYear where the id names no year that has an edition.
    """
    year = edition_id.partition(".")[0]
    return load_edition(int(year) if year.isascii() and year.isdigit() and len(year) == 4 else 0)


def _data() -> Traversable:
    return resources.files("student_records").joinpath("data")


def _read(file: str, datum: type[_DatumT]) -> _DatumT:
    try:
        return datum.model_validate(json.loads(_data().joinpath(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise BrokenEdition(file, str(error)) from error
