"""How fast a simulated model answers."""

from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

ProfileName = Literal["realistic", "seed", "fast"]
Span = tuple[float, float]

CHARS_PER_TOKEN = 1.7
"""Korean text in a current vocabulary; near enough for pacing and usage figures."""


class Pace(BaseModel):
    """Describe one way to answer; a span is (lowest, highest), drawn per call from the call's own seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_text_seconds: Span
    tokens_per_second: Span
    delta_seconds: float = Field(gt=0)
    """The time between two deltas; each carries what the rate produced meanwhile."""
    text_seconds: float | None = Field(default=None, gt=0)
    """When set, the whole answer takes this long, whatever its length."""


PROFILES: dict[ProfileName, Pace] = {
    "realistic": Pace(first_text_seconds=(0.5, 1.5), tokens_per_second=(40, 80), delta_seconds=0.05),
    "seed": Pace(first_text_seconds=(0.5, 1.5), tokens_per_second=(40, 80), delta_seconds=0.05, text_seconds=40),
    "fast": Pace(first_text_seconds=(0.01, 0.01), tokens_per_second=(2000, 2000), delta_seconds=0.005),
}


class Timing(NamedTuple):
    """The pace of one call: seconds until the first text, then characters per delta and seconds between deltas."""

    first_text_seconds: float
    chars_per_delta: float
    delta_seconds: float

    def text_seconds(self, char_count: int) -> float:
        """Return how long a text of that many characters streams after its first delta."""
        return char_count / self.chars_per_delta * self.delta_seconds


@dataclass(frozen=True, slots=True)
class PaceOverride:
    """What a rule or a marker asks for one call; None leaves the profile's value."""

    first_text_seconds: float | None = None
    tokens_per_second: float | None = None
    delta_seconds: float | None = None
    text_seconds: float | None = None


def draw_timing(pace: Pace, override: PaceOverride, char_count: int, random: Random) -> Timing:
    """Fix the pace of one call whose text has that many characters."""
    first = override.first_text_seconds
    if first is None:
        first = random.uniform(*pace.first_text_seconds)
    tokens_per_second = override.tokens_per_second or random.uniform(*pace.tokens_per_second)
    text_seconds = override.text_seconds or (None if override.tokens_per_second else pace.text_seconds)
    chars_per_second = tokens_per_second * CHARS_PER_TOKEN
    if text_seconds is not None:
        chars_per_second = max(char_count, 1) / max(text_seconds - first, 0.001)
    delta_seconds = max(override.delta_seconds or pace.delta_seconds, 1 / chars_per_second)
    return Timing(first, chars_per_second * delta_seconds, delta_seconds)


def count_tokens(text: str) -> int:
    """Estimate the tokens of a text."""
    return int(len(text) / CHARS_PER_TOKEN) + 1 if text else 0
