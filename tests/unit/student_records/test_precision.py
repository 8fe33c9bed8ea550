"""How well the rules tell lawful from unlawful sentences, on whole sentences as teachers write them."""

import json
from pathlib import Path

from contracts.findings import Severity
from student_records.edition import load_edition
from student_records.items import Item
from student_records.rules import check

SENTENCES = json.loads((Path(__file__).parent / "sentences.json").read_text("utf-8"))


def is_found(sentence: str) -> bool:
    findings = check(sentence, load_edition(2026), Item.SUBJECT)
    return any(finding.severity is not Severity.STYLE for finding in findings)


def test_nineteen_in_twenty_unlawful_sentences_are_found() -> None:
    missed = [sentence for sentence in SENTENCES["unlawful"] if not is_found(sentence)]
    assert len(missed) <= len(SENTENCES["unlawful"]) * 0.05, missed


def test_nine_in_ten_findings_are_right() -> None:
    wrong = [sentence for sentence in SENTENCES["lawful"] if is_found(sentence)]
    right = [sentence for sentence in SENTENCES["unlawful"] if is_found(sentence)]
    assert len(wrong) <= (len(right) + len(wrong)) * 0.1, wrong
