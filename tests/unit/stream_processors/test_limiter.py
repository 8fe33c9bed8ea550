import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Reason
from stream_processors.limiter import WINDOW_SECONDS, Limiter, Limits
from tests.support.clock import VirtualTimeLoop, virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


class Announced(list[tuple[float, Reason, float | None]]):
    async def __call__(self, reason: Reason, seconds: float | None) -> None:
        self.append((now(), reason, seconds))


async def hold_permit(
    limiter: Limiter, seconds: float, tokens: int = 1, started: Callable[[], None] = lambda: None
) -> Announced:
    announced = Announced()
    async with limiter.permit(tokens, announced):
        started()
        await asyncio.sleep(seconds)
    return announced


async def start_times(limiter: Limiter, *calls: tuple[float, int]) -> list[float]:
    times: list[float] = []
    await asyncio.gather(
        *(hold_permit(limiter, seconds, tokens, lambda: times.append(now())) for seconds, tokens in calls)
    )
    return times


@virtual_time
async def test_no_more_calls_run_at_once_than_allowed_and_they_come_in_order() -> None:
    times = await start_times(Limiter(Limits(2)), (5, 1), (3, 1), (4, 1), (1, 1))
    assert times == [0, 0, 3, 5]


@virtual_time
async def test_calls_of_a_minute_are_counted() -> None:
    times = await start_times(Limiter(Limits(calls_per_minute=2)), *[(0, 1)] * 5)
    assert times == [0, 0, 60, 60, 120]


@virtual_time
async def test_tokens_of_a_minute_are_counted_and_a_call_over_the_whole_limit_waits_for_an_empty_minute() -> None:
    times = await start_times(Limiter(Limits(tokens_per_minute=100)), (0, 60), (0, 60), (0, 500), (0, 10))
    assert times == [0, 60, 120, 180]


@virtual_time
async def test_an_estimate_is_corrected_by_what_was_spent() -> None:
    limiter = Limiter(Limits(tokens_per_minute=100))
    async with limiter.permit(90, Announced()) as permit:
        permit.spent(20)
    async with limiter.permit(80, Announced()) as permit:
        permit.spent(200)
    assert now() == 0
    async with limiter.permit(1, Announced()):
        assert now() == 60


@virtual_time
async def test_a_pause_that_was_asked_for_holds_everything_and_is_announced_at_once() -> None:
    limiter = Limiter(Limits())
    limiter.hold(20)
    limiter.hold(5)
    assert await hold_permit(limiter, 0) == [(0, Reason.RATE_LIMITED, 20)]
    assert now() == 20


@virtual_time
async def test_no_pause_is_longer_than_ten_minutes() -> None:
    limiter = Limiter(Limits())
    limiter.hold(86_400)
    await hold_permit(limiter, 0)
    assert now() == 600


@virtual_time
async def test_a_short_wait_is_not_announced_and_a_longer_one_after_a_second() -> None:
    limiter = Limiter(Limits(1))
    waits = await asyncio.gather(hold_permit(limiter, 0.9), hold_permit(limiter, 3), hold_permit(limiter, 0))
    assert list(waits) == [[], [], [(1.0, Reason.OVERLOADED, None)]]


@virtual_time
async def test_a_cancelled_wait_gives_its_turn_to_the_next() -> None:
    limiter = Limiter(Limits(1))
    first = asyncio.create_task(hold_permit(limiter, 10))
    await asyncio.sleep(0)
    second, third = (asyncio.create_task(hold_permit(limiter, 1)) for _ in range(2))
    await asyncio.sleep(5)
    second.cancel()
    await asyncio.wait([first, second, third])
    assert now() == 11
    assert (limiter.running_count, limiter.waiting_count) == (0, 0)


@virtual_time
async def test_a_turn_that_comes_together_with_the_cancellation_is_not_lost() -> None:
    limiter = Limiter(Limits(1))
    first = asyncio.create_task(hold_permit(limiter, 10))
    await asyncio.sleep(0)
    second = asyncio.create_task(hold_permit(limiter, 1))
    await asyncio.sleep(5)
    first.cancel()
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([first, second])
    assert limiter.running_count == 0
    await hold_permit(limiter, 0)


@dataclass(frozen=True)
class Job:
    arrives: float
    lasts: float
    estimate: int
    spends: int
    cancelled_after: float | None


jobs = st.lists(
    st.builds(
        Job,
        arrives=st.floats(0, 100),
        lasts=st.floats(0, 50),
        estimate=st.integers(1, 120),
        spends=st.integers(0, 120),
        cancelled_after=st.none() | st.floats(0, 100),
    ),
    min_size=1,
    max_size=25,
)


@given(jobs, st.integers(1, 4), st.none() | st.integers(1, 5), st.none() | st.integers(1, 100))
def test_no_limit_is_ever_passed_and_every_call_gets_its_turn(
    jobs: list[Job], concurrent: int, calls: int | None, tokens: int | None
) -> None:
    limiter = Limiter(Limits(concurrent, calls, tokens))
    spent: list[tuple[float, int]] = []
    running = 0

    async def work(job: Job) -> None:
        nonlocal running
        await asyncio.sleep(job.arrives)
        async with limiter.permit(job.estimate, Announced()) as permit:
            running += 1
            entry = len(spent)
            spent.append((now(), job.estimate))
            try:
                check_limits()
                await asyncio.sleep(job.lasts)
            finally:
                running -= 1
                permit.spent(job.spends)
                spent[entry] = (spent[entry][0], job.spends)

    def check_limits() -> None:
        assert running <= concurrent
        minute = [amount for at, amount in spent if at + WINDOW_SECONDS > now()]
        assert calls is None or len(minute) <= calls
        # One call larger than the limit may begin, when nothing else counts.
        assert tokens is None or sum(minute) <= tokens or sum(minute[:-1]) == 0

    async def play() -> None:
        tasks = [asyncio.create_task(work(job)) for job in jobs]
        for task, job in zip(tasks, jobs, strict=True):
            if job.cancelled_after is not None:
                asyncio.get_running_loop().call_later(job.arrives + job.cancelled_after, task.cancel)
        done, _ = await asyncio.wait(tasks)
        assert [error for task in done if not task.cancelled() and (error := task.exception())] == []
        assert (limiter.running_count, limiter.waiting_count) == (0, 0)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())


def test_a_wait_that_nothing_ends_is_an_error_and_no_hang() -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.raises(AssertionError):
        runner.run(asyncio.Event().wait())
