"""Access to the model, built from its settings: the part of the wiring that knows the adapter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream_processors.breaker import Breaker
from stream_processors.limiter import Limiter, Limits
from stream_processors.model_settings import ModelSettings
from stream_processors.openai_model import OpenAIModel
from stream_processors.retry import RetryPolicy
from stream_processors.services import Services


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
            retry=RetryPolicy(settings.call_budget, settings.total_call_budget),
        )
    finally:
        await model.close()
