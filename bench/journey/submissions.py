"""What is submitted: the repository's sample notes, each time a little different."""

from collections.abc import Mapping

from deploy.local.sample_notes import sample_notes

_ITEMS = ("subject", "autonomy", "club", "career")
"""Items of one length, so that journeys can be compared."""


def make_submissions(count: int, tag: str) -> list[Mapping[str, object]]:
    """Return so many submissions; the same tag gives the same ones, so that both systems write the same texts."""
    samples = [sample for sample in sample_notes() if sample.item in _ITEMS]
    return [
        {**sample.body, "notes": f"{sample.notes} (기록 {tag} {number})"}
        for number, sample in ((number, samples[number % len(samples)]) for number in range(count))
    ]
