"""Going once through a system, as a teacher does: click, and look until the texts are there."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from bench.journey.exchange import Address, BrokenAnswer, post_json
from bench.journey.journey import SUCCEEDED, Journey
from bench.journey.stream_tap import open_tap

Travel = Callable[[Mapping[str, object], float, float], Awaitable[Journey]]
"""Takes a submission, when it should be clicked and when to give up; both on the monotonic clock."""


def through_ours(api_url: str) -> Travel:
    """Submit to the API, then read the task's stream to its end."""
    address = Address.of(api_url)

    async def travel(journey: Journey, body: Mapping[str, object]) -> None:
        answer = await post_json(address, "/v1/tasks", body)
        journey.answered_at = time.monotonic()
        if answer.status != HTTPStatus.ACCEPTED:
            journey.outcome = f"refused {answer.status}"
            return
        journey.task_id = answer.body["task_id"]
        events, ticket = answer.body["links"]["events"], answer.body["ticket"]
        tap = await open_tap(events, ticket, journey, len(answer.body["versions"]))
        try:
            await tap.over.wait()
        finally:
            tap.close()

    return _guarded(travel)


def through_seed(seed_url: str) -> Travel:
    """Submit to the old service, whose answer is the end and the first that is seen."""
    address = Address.of(seed_url)

    async def travel(journey: Journey, body: Mapping[str, object]) -> None:
        answer = await post_json(address, "/drafts", body)
        at = time.monotonic()
        journey.answered_at = journey.first_event_at = at
        if answer.status != HTTPStatus.OK:
            journey.outcome = f"refused {answer.status}"
            return
        journey.task_id = answer.body["task_id"]
        journey.started_at = journey.ended_at = at
        journey.first_text_at = {version["version"]: at for version in answer.body["versions"] if version["text"]}
        journey.outcome = SUCCEEDED if journey.first_text_at else "failed"

    return _guarded(travel)


def _guarded(travel: Callable[[Journey, Mapping[str, object]], Awaitable[None]]) -> Travel:
    """Begin in time, end in time, and make every failure an outcome."""

    async def guarded(body: Mapping[str, object], click_at: float, until: float) -> Journey:
        await asyncio.sleep(click_at - time.monotonic())
        journey = Journey(click_at)
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await travel(journey, body)
        except TimeoutError:
            pass  # unfinished, and counted as that
        except (OSError, BrokenAnswer) as error:
            journey.outcome = f"broken {type(error).__name__}"
        return journey

    return guarded


async def travel_all(
    travel: Travel, bodies: list[Mapping[str, object]], clicks: list[float], grace_seconds: float
) -> list[Journey]:
    """Go once for each body, at the given seconds from now; open loop: nobody waits for anybody.

    What has not ended `grace_seconds` after the last click is given up.
    """
    now = time.monotonic() + 0.1
    until = now + clicks[-1] + grace_seconds
    going = (travel(body, now + click, until) for body, click in zip(bodies, clicks, strict=True))
    return list(await asyncio.gather(*going))
