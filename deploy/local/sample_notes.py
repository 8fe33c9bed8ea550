"""The sample notes of the repository: `samples/notes/ITEM.json`, several for each item."""

import json
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / "samples" / "notes"


def sample_notes(folder: Path = _FOLDER) -> list[tuple[str, str]]:
    """Return every sample as (item, notes)."""
    return [(file.stem, notes) for file in sorted(folder.glob("*.json")) for notes in _read(file)]


def _read(file: Path) -> list[str]:
    content = json.loads(file.read_text(encoding="utf-8"))
    return [str(sample["notes"]) for sample in content["samples"]]
