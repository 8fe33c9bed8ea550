"""When a worker counts as lost to its group, and when it only has to wait."""

import asyncio
from collections.abc import Callable

import pytest

from stream_processors.errors import GroupLost
from stream_processors.group_watch import GroupWatch


class Membership:
    """What a test says about the client."""

    def __init__(self) -> None:
        self.loss: str | None = None
        self.silence: str | None = None
        self.asked = asyncio.Event()

    def find_loss(self) -> str | None:
        return self.loss

    def find_silence(self) -> str | None:
        return self.silence

    def ask_again(self) -> None:
        self.asked.set()


class Kafka:
    """Answers as the list says, and then as its last entry does."""

    def __init__(self, *answers: bool, when_asked: Callable[[int], None] = lambda count: None) -> None:
        self._answers = list(answers)
        self._when_asked = when_asked
        self.asked_count = 0

    async def __call__(self) -> bool:
        self.asked_count += 1
        self._when_asked(self.asked_count)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def a_watch(membership: Membership, kafka: Kafka, session_seconds: float) -> GroupWatch:
    return GroupWatch(membership, kafka, session_seconds, look_seconds=0.005)


async def test_a_part_that_ended_is_a_loss_at_once() -> None:
    membership = Membership()
    membership.loss = "heartbeats have ended"
    with pytest.raises(GroupLost, match="heartbeats have ended"):
        async with asyncio.timeout(5):
            await a_watch(membership, Kafka(True), 10).watch()


async def test_the_broker_is_asked_once_in_a_session() -> None:
    membership = Membership()
    watching = asyncio.create_task(a_watch(membership, Kafka(True), 0.02).watch())
    async with asyncio.timeout(5):
        await membership.asked.wait()
    assert not watching.done()
    watching.cancel()


async def test_silence_is_a_loss_while_kafka_answers_others() -> None:
    membership = Membership()
    membership.silence = "5 commits failed in a row"
    with pytest.raises(GroupLost, match="5 commits failed"):
        async with asyncio.timeout(5):
            await a_watch(membership, Kafka(True), 0.02).watch()


async def test_silence_is_waited_through_while_kafka_is_away() -> None:
    membership = Membership()
    membership.silence = "5 commits failed in a row"
    asked_often = asyncio.Event()
    kafka = Kafka(False, when_asked=lambda count: asked_often.set() if count == 40 else None)
    watching = asyncio.create_task(a_watch(membership, kafka, 0.01).watch())
    async with asyncio.timeout(5):
        await asked_often.wait()
    assert not watching.done()
    watching.cancel()


async def test_a_sound_in_time_ends_the_silence() -> None:
    membership = Membership()
    membership.silence = "no assignment for too long"

    def speak(count: int) -> None:
        membership.silence = None if count == 3 else membership.silence
        if count == 3:
            spoken.set()

    spoken = asyncio.Event()
    watching = asyncio.create_task(a_watch(membership, Kafka(True, when_asked=speak), 60).watch())
    async with asyncio.timeout(5):
        await spoken.wait()
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
