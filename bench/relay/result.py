"""Results as JSON: small, and without anything of the machine but how many cores it has."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.relay.measurement import Summary

FILE_NAME = "relay.json"


def write_results(summaries: Sequence[Summary], folder: Path, *, quick: bool) -> Path:
    """Write the summaries into the folder and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    content = {"quick": quick, "cores": os.cpu_count(), "summaries": [_plain(summary) for summary in summaries]}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def read_results(path: Path) -> list[Summary]:
    """Return the summaries of a file."""
    return [Summary(**found) for found in json.loads(path.read_text())["summaries"]]


def _plain(summary: Summary) -> dict[str, object]:
    found = asdict(summary)
    for group in ("figures", "ratios"):
        found[group] = {name: float(f"{value:.4g}") for name, value in found[group].items()}
    return found
