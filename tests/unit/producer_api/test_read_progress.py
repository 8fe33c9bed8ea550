import asyncio

from contracts.cursor import Position
from producer_api.read_progress import ReadProgress


async def test_a_position_that_was_read_is_not_waited_for() -> None:
    progress = ReadProgress()
    progress.advance(0, 5)
    await progress.wait_past(Position(0, 4))


async def test_waiters_wake_in_the_order_of_their_positions_and_only_theirs() -> None:
    progress = ReadProgress()
    woken: list[Position] = []

    async def wait(position: Position) -> None:
        await progress.wait_past(position)
        woken.append(position)

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(wait(Position(*each))) for each in [(0, 9), (0, 3), (1, 3)]]
        await asyncio.sleep(0)
        progress.advance(0, 4)
        await waiting[1]
        assert woken == [Position(0, 3)]
        progress.advance(0, 10)
        progress.advance(1, 4)
    assert woken == [Position(0, 3), Position(0, 9), Position(1, 3)]


async def test_a_waiter_that_gave_up_does_not_disturb_the_others() -> None:
    progress = ReadProgress()
    gone = asyncio.create_task(progress.wait_past(Position(0, 1)))
    stays = asyncio.create_task(progress.wait_past(Position(0, 1)))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    progress.advance(0, 2)
    await stays


async def test_an_empty_partition_needs_no_waiting() -> None:
    await ReadProgress().wait_past(Position(0, -1))
