"""A journey: what one teacher saw, and when."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

VERSION_COUNT = 3
SUCCEEDED = "succeeded"
UNFINISHED = "unfinished"


@dataclass(slots=True)
class Journey:
    """Times are seconds on the client's monotonic clock, None for what has not happened."""

    clicked_at: float
    """When the request should have been sent: being late to send it counts as waiting."""
    task_id: str = ""
    answered_at: float | None = None
    """The POST's answer."""
    first_event_at: float | None = None
    """The first event of the stream, whatever it is."""
    started_at: float | None = None
    """The first sign that somebody works on it: it is drafting, or has ended."""
    first_text_at: dict[int, float] = field(default_factory=dict)
    """The first words of each version."""
    completed_at: dict[int, float] = field(default_factory=dict)
    """The checked and fitted text of each version."""
    ended_at: float | None = None
    outcome: str = UNFINISHED
    """`succeeded`, `failed` …, `refused STATUS`, or `broken ERROR`."""

    @property
    def succeeded(self) -> bool:
        """Whether there are texts."""
        return self.outcome == SUCCEEDED

    @property
    def is_error(self) -> bool:
        """Whether it went wrong, rather than well or on."""
        return self.outcome not in {SUCCEEDED, UNFINISHED}

    @property
    def first_words_at(self) -> float | None:
        """When the first words of any version were there."""
        return min(self.first_text_at.values(), default=None)

    @property
    def all_begun_at(self) -> float | None:
        """When all versions had words."""
        return max(self.first_text_at.values()) if len(self.first_text_at) == VERSION_COUNT else None


def waits(journeys: Iterable[Journey], moment: Callable[[Journey], float | None]) -> list[float]:
    """Return, for each journey in which it came, how long after the click a moment was."""
    return [at - journey.clicked_at for journey in journeys if (at := moment(journey)) is not None]
