"""A quiet day: journeys that do not hold each other up. Latencies of both systems, in turns."""

import asyncio

from bench.journey.figures import Figures, percentile, spread
from bench.journey.journey import Journey, waits
from bench.journey.simulator_log import Spoken, delays_of_first_text, delays_of_last_text
from bench.journey.stage import Stage
from bench.journey.submissions import make_submissions
from bench.journey.travel import travel_all


def measure(stage: Stage, count: int, spacing_seconds: float, tag: str, grace_seconds: float) -> Figures:
    """Go `count` times, one click every `spacing_seconds`."""
    stage.simulator.forget()
    clicks = [number * spacing_seconds for number in range(count)]
    journeys = asyncio.run(travel_all(stage.travel, make_submissions(count, tag), clicks, grace_seconds))
    return figures_of(journeys, stage.simulator.read_calls())


def figures_of(journeys: list[Journey], spoken: Spoken) -> Figures:
    """Return what the journeys show; `answer` is the POST's."""
    return {
        "count": float(len(journeys)),
        "not_succeeded_count": float(sum(not journey.succeeded for journey in journeys)),
        "model_calls_per_task": spoken.call_count / len(journeys),
        **spread("answer", waits(journeys, lambda journey: journey.answered_at)),
        **spread("first_event", waits(journeys, lambda journey: journey.first_event_at)),
        **spread("started", waits(journeys, lambda journey: journey.started_at)),
        **spread("first_words", waits(journeys, lambda journey: journey.first_words_at)),
        **spread("all_begun", waits(journeys, lambda journey: journey.all_begun_at)),
        **spread("end", waits(journeys, lambda journey: journey.ended_at), "seconds"),
        **_delay("first_text_delay", delays_of_first_text(journeys, spoken)),
        **_delay("last_text_delay", delays_of_last_text(journeys, spoken)),
    }


def _delay(name: str, seconds: list[float]) -> Figures:
    return {**spread(name, seconds), f"{name}_max_ms": percentile([1000 * value for value in seconds], 1.0)}
