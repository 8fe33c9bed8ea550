"""The sample notes of the repository: `samples/notes/ITEM.json`, several for each item."""

import json
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / "samples" / "notes"


@dataclass(frozen=True, slots=True)
class Sample:
    """One teacher's notes for one item."""

    item: str
    school_level: str
    notes: str

    @property
    def body(self) -> dict[str, str]:
        """What is submitted."""
        return {"item": self.item, "school_level": self.school_level, "notes": self.notes}


def sample_notes(folder: Path = _FOLDER) -> list[Sample]:
    """Return every sample, in a fixed order."""
    return [sample for file in sorted(folder.glob("*.json")) for sample in _read(file)]


def _read(file: Path) -> list[Sample]:
    content = json.loads(file.read_text(encoding="utf-8"))
    return [Sample(content["item"], content["school_level"], note["text"]) for note in content["notes"]]
