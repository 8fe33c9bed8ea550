"""The group watch: tells when a worker has stopped being a member of its group and will not become one by itself.

The parts of a Kafka client that keep a member in its group run in the background, and when one ends nobody hears of it:
Faust fetches past the place where aiokafka would say so. Such a worker would live on, deaf. So they are looked at, and
beside that the broker itself is asked: commits are made again from time to time, and where they fail although Kafka
answers, or no assignment comes, the worker is no member either.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from stream_processors.errors import GroupLost

log = structlog.get_logger(__name__)


class Membership(Protocol):
    """What is known of a worker's place in its group."""

    def find_loss(self) -> str | None:
        """Say which part of the Kafka client has ended; None while all live."""

    def find_silence(self) -> str | None:
        """Say why the group seems to be lost, if Kafka can be reached; None when there is no reason to think so."""

    def ask_again(self) -> None:
        """Make the next commit even if nothing has changed, to hear whether it is taken."""


class GroupWatch:
    """Looks each second, asks once in a session; silence counts only while Kafka answers others."""

    def __init__(
        self,
        membership: Membership,
        kafka_answers: Callable[[], Awaitable[bool]],
        session_seconds: float,
        *,
        look_seconds: float = 1.0,
    ) -> None:
        self._look_seconds = look_seconds
        self._membership = membership
        self._kafka_answers = kafka_answers
        self._session_seconds = session_seconds
        self._patience_seconds = 2 * session_seconds

    async def watch(self) -> None:
        """Watch until cancelled; raise GroupLost."""
        await asyncio.gather(self._look(), self._listen())

    async def _look(self) -> None:
        asked_at = time.monotonic()
        while True:
            await asyncio.sleep(self._look_seconds)
            if (loss := self._membership.find_loss()) is not None:
                raise GroupLost(loss)
            if time.monotonic() - asked_at >= self._session_seconds:
                self._membership.ask_again()
                asked_at = time.monotonic()

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            if (silence := self._membership.find_silence()) is not None:
                log.warning("group.silent", reason=silence)
                await self._wait_for_a_sound(silence)

    async def _wait_for_a_sound(self, silence: str) -> None:
        """Return when the silence ends; raise GroupLost when it lasts although Kafka answers all the time."""
        answering_since: float | None = None
        while self._membership.find_silence() is not None:
            if not await self._kafka_answers():
                answering_since = None  # nobody hears anything now
            elif answering_since is None:
                answering_since = time.monotonic()
            elif time.monotonic() - answering_since >= self._patience_seconds:
                raise GroupLost(silence)
            await asyncio.sleep(self._look_seconds)
