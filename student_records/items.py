"""What a record is made of: the school levels, and the items that a teacher writes."""

from enum import StrEnum


class SchoolLevel(StrEnum):
    """A level of school with limits of its own."""

    MIDDLE = "middle"
    HIGH = "high"


class Item(StrEnum):
    """An item of the record, by its wire id; its Korean title is data of the edition."""

    SUBJECT = "subject"
    BEHAVIOR = "behavior"
    AUTONOMY = "autonomy"
    CLUB = "club"
    CAREER = "career"
    INDIVIDUAL = "individual"
    VOLUNTEER = "volunteer"
