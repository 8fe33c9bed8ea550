"""Dead letters: records kept with the reason they could not be used, byte for byte as they were."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.codec import Record
from contracts.cursor import Position

_PREFIX = "dead_letter_"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a record could not be used, and where it was: topic and position."""

    reason: str
    topic: str
    position: Position


def encode_dead_letter(
    letter: DeadLetter, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> Record:
    """Return the dead letter's record: original key, value and headers, with the reason and the origin added."""
    own = {
        "reason": letter.reason,
        "topic": letter.topic,
        "partition": str(letter.position.partition),
        "offset": str(letter.position.offset),
        "null_key": str(key is None).lower(),
        "null_value": str(value is None).lower(),
    }
    kept = [(name, content or b"") for name, content in headers if not name.startswith(_PREFIX)]
    return Record(key or b"", value or b"", [*kept, *((_PREFIX + name, text.encode()) for name, text in own.items())])
