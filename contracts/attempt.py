"""An attempt: one try at executing a task, named so that a later one compares greater."""

import re
from typing import Annotated, NamedTuple

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

_ATTEMPT = re.compile(r"(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,14})", re.ASCII)


class Attempt(NamedTuple):
    """The consumer group's generation and the worker's boot time in milliseconds since 1970.

    Static membership keeps the generation across a restart, so the generation alone does not name an attempt.
    """

    generation: int
    boot_ms: int

    def __str__(self) -> str:
        return f"{self.generation}-{self.boot_ms}"

    @classmethod
    def parse(cls, text: str) -> "Attempt":
        """Return the attempt that `str()` wrote, or raise ValueError."""
        if not (match := _ATTEMPT.fullmatch(text)):
            raise ValueError("an attempt is written GENERATION-BOOT_MS")
        return cls(int(match[1]), int(match[2]))


OUTSIDE = Attempt(0, 0)
"""What is written outside any worker's attempt, such as the API's `task.accepted`: lower than every real one."""


def _validate(value: object) -> Attempt:
    if isinstance(value, Attempt):
        return value
    if isinstance(value, str):
        return Attempt.parse(value)
    raise ValueError("an attempt is text")


AttemptField = Annotated[
    Attempt,
    PlainValidator(_validate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,10}-\d{1,15}$", "examples": ["3-1763852917123"]}),
]
