"""The errors of this package.

RecordsError
├── UnknownSchoolYear     no edition of the rules is known for the school year
├── ItemNotOffered        the school level has no such item, or no limit for it is known
├── UnknownViewpoint      an item has no viewpoint with that id, or not as many as asked for
└── BrokenEdition         a data file cannot be read as the edition it should be
"""


class RecordsError(Exception):
    """The base of every error that leaves this package."""


class UnknownSchoolYear(RecordsError):
    """Say that no edition is known for a school year."""

    def __init__(self, school_year: int, known: tuple[int, ...]) -> None:
        self.school_year = school_year
        self.known = known
        super().__init__(f"no edition for school year {school_year}; known are {', '.join(map(str, known))}")


class ItemNotOffered(RecordsError):
    """Say that a school level has no limit for an item in an edition."""

    def __init__(self, edition_id: str, level: str, item: str) -> None:
        self.edition_id = edition_id
        self.level = level
        self.item = item
        super().__init__(f"edition {edition_id} has no limit for item {item!r} at school level {level!r}")


class UnknownViewpoint(RecordsError):
    """Say that an item has no such viewpoint, or fewer viewpoints than were asked for."""

    def __init__(self, item: str, wanted: str, known: tuple[str, ...]) -> None:
        self.item = item
        self.wanted = wanted
        self.known = known
        super().__init__(f"item {item!r} has no viewpoint {wanted}; it has {', '.join(known)}")


class BrokenEdition(RecordsError):
    """Say which data file is not what an edition needs, and why."""

    def __init__(self, file: str, detail: str) -> None:
        self.file = file
        self.detail = detail
        super().__init__(f"{file}: {detail}")
