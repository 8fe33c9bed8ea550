"""The link between a test and the sentences of docs/PROTOCOL.md that it holds a relay to."""

import re
from pathlib import Path

import pytest

PROTOCOL = Path(__file__).resolve().parents[2] / "docs" / "PROTOCOL.md"


def promises(*sentences: str) -> pytest.MarkDecorator:
    """Mark a test with what it checks, in the words of docs/PROTOCOL.md; a failure then begins with them."""
    return pytest.mark.promises(*sentences)


def sentences_of(item: pytest.Item) -> list[str]:
    """Return what a test was marked with."""
    return [sentence for mark in item.iter_markers("promises") for sentence in mark.args]


def complaint_about(item: pytest.Item) -> str:
    """Return what is wrong with a test's marks (none, or words that the protocol does not have), or nothing."""
    sentences = sentences_of(item)
    if not sentences:
        return f"{item.nodeid} does not say which sentence of docs/PROTOCOL.md it checks"
    text = _words(PROTOCOL.read_text(encoding="utf-8"))
    foreign = [sentence for sentence in sentences if _words(sentence) not in text]
    return f"{item.nodeid}: not in docs/PROTOCOL.md: {foreign}" if foreign else ""


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", text)
