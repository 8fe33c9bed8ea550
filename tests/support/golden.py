"""Golden files: every record and every course of events that was ever released. Added to, never edited."""

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(folder: str) -> list[Path]:
    files = sorted((GOLDEN / folder).glob("*.json"))
    assert files, f"no golden files in {folder}"
    return files


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
