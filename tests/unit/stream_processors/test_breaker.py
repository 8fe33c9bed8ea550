import asyncio

import pytest

from contracts.events import Reason
from stream_processors.breaker import Breaker
from stream_processors.errors import ModelError
from tests.support.clock import virtual_time


def call(breaker: Breaker, reason: Reason | None = None) -> None:
    with breaker.guard():
        if reason is not None:
            raise ModelError(reason, "server")


def refused(breaker: Breaker, reason: Reason | None = None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        call(breaker, reason)
    return caught.value


@pytest.mark.parametrize("reason", [Reason.UNAUTHORISED, Reason.QUOTA_EXHAUSTED])
@virtual_time
async def test_a_refused_key_or_quota_opens_it_and_calls_fail_fast_with_that_reason(reason: Reason) -> None:
    breaker = Breaker(open_seconds=30)
    refused(breaker, reason)
    await asyncio.sleep(29)
    error = refused(breaker)
    assert (error.reason, error.detail, error.retryable) == (reason, "circuit open", False)


@virtual_time
async def test_other_failures_leave_it_closed() -> None:
    breaker = Breaker()
    for reason in (Reason.RATE_LIMITED, Reason.OVERLOADED, Reason.TIMEOUT, Reason.REFUSED):
        refused(breaker, reason)
    call(breaker)


@virtual_time
async def test_one_probe_at_a_time_and_a_good_one_closes_it() -> None:
    breaker = Breaker(open_seconds=30)
    refused(breaker, Reason.UNAUTHORISED)
    await asyncio.sleep(30)
    with breaker.guard():
        assert refused(breaker).detail == "circuit open"
    call(breaker)


@virtual_time
async def test_a_good_end_of_a_call_from_before_does_not_close_it() -> None:
    breaker = Breaker(open_seconds=30)
    with breaker.guard():
        refused(breaker, Reason.QUOTA_EXHAUSTED)
    assert refused(breaker).detail == "circuit open"


@virtual_time
async def test_a_probe_that_is_refused_opens_it_again() -> None:
    breaker = Breaker(open_seconds=30)
    refused(breaker, Reason.UNAUTHORISED)
    await asyncio.sleep(30)
    assert refused(breaker, Reason.QUOTA_EXHAUSTED).detail == "server"
    await asyncio.sleep(29)
    assert refused(breaker).reason is Reason.QUOTA_EXHAUSTED


@virtual_time
async def test_a_probe_that_fails_otherwise_or_is_cancelled_lets_the_next_one_try() -> None:
    breaker = Breaker(open_seconds=30)
    refused(breaker, Reason.UNAUTHORISED)
    await asyncio.sleep(30)
    assert refused(breaker, Reason.OVERLOADED).detail == "server"
    with pytest.raises(asyncio.CancelledError), breaker.guard():
        raise asyncio.CancelledError
    call(breaker)
