import asyncio

import pytest

from contracts.task import TaskId
from producer_api.deadline import Deadline
from producer_api.errors import InvalidRequest, KafkaUnavailable
from producer_api.idempotency import TaskLocks, read_key

TASK = TaskId("a" * 32)


@pytest.mark.parametrize("key", ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "!~", "x" * 128])
def test_a_key_of_visible_ascii_is_taken_as_it_is(key: str) -> None:
    assert read_key([key]) == key


def test_no_header_is_no_key() -> None:
    assert read_key([]) is None


@pytest.mark.parametrize("values", [[""], ["a b"], ["x" * 129], ["열쇠"], ["a\x7f"], ["a\n"], ["a", "a"], ["a", "b"]])
def test_anything_else_is_refused_by_the_headers_name(values: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_key(values)
    assert refused.value.field == "Idempotency-Key"


async def test_submissions_of_one_task_take_turns() -> None:
    locks, order = TaskLocks(), list[str]()
    entered = asyncio.Event()

    async def first() -> None:
        async with locks.hold(TASK, Deadline.after(5)):
            entered.set()
            await asyncio.sleep(0)
            order.append("first")

    async def second() -> None:
        await entered.wait()
        async with locks.hold(TASK, Deadline.after(5)):
            order.append("second")

    await asyncio.gather(second(), first())
    assert order == ["first", "second"]


async def test_who_waits_for_a_turn_beyond_the_deadline_is_told_to_come_back() -> None:
    locks = TaskLocks()
    async with locks.hold(TASK, Deadline.after(5)):
        with pytest.raises(KafkaUnavailable) as refused:
            async with locks.hold(TASK, Deadline.after(0)):
                raise AssertionError("entered twice")
    assert refused.value.retry_after_seconds == 2


async def test_a_lock_is_forgotten_with_its_last_holder() -> None:
    locks = TaskLocks()
    async with locks.hold(TASK, Deadline.after(5)):
        assert len(locks._locks) == 1
    assert len(locks._locks) == 0
