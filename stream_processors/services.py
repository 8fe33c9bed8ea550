"""What a generation needs from outside, handed in once by the wiring."""

from collections.abc import Callable
from dataclasses import dataclass, field

from stream_processors.breaker import Breaker
from stream_processors.clock import Clock, SystemClock
from stream_processors.limiter import Limiter, Limits
from stream_processors.model import Model
from stream_processors.retry import RetryPolicy
from stream_processors.revision import RevisionPolicy
from student_records.edition import Edition, edition_of


@dataclass(frozen=True, slots=True)
class Services:
    """The model with what guards it, the rules, the policies and the clock; one for each process."""

    model: Model
    limiter: Limiter = field(default_factory=lambda: Limiter(Limits()))
    breaker: Breaker = field(default_factory=Breaker)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    revision: RevisionPolicy = field(default_factory=RevisionPolicy)
    load_edition: Callable[[str], Edition] = edition_of
    clock: Clock = field(default_factory=SystemClock)
