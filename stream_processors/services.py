"""What a generation needs from outside, handed in once by the wiring."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stream_processors.breaker import Breaker
from stream_processors.clock import Clock, SystemClock
from stream_processors.limiter import Limiter, Limits
from stream_processors.model import Model
from stream_processors.model_settings import ModelSettings
from stream_processors.openai_model import OpenAIModel
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


@asynccontextmanager
async def open_services(settings: ModelSettings) -> AsyncIterator[Services]:
    """Build the services that the settings describe; close their connections at the end."""
    model = OpenAIModel(settings)
    limits = Limits(settings.concurrent_call_count, settings.calls_per_minute, settings.tokens_per_minute)
    try:
        yield Services(
            model=model,
            limiter=Limiter(limits),
            breaker=Breaker(open_seconds=settings.breaker_open_seconds),
            retry=RetryPolicy(call_budget=settings.call_budget),
        )
    finally:
        await model.close()
