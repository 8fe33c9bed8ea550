"""One partition of the events topic, as far as it has been read."""

import asyncio
import contextlib

from sse_relay.log import TaskLog

_MAX_ENDED = 20_000


class Partition:
    """The logs of its tasks, and where reading stands.

    Logs are kept by partition, so that a record that somebody put into the wrong one cannot hide a task.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.logs: dict[bytes, TaskLog] = {}
        self.ended: dict[bytes, None] = {}
        """Finished tasks that left memory, the newest ones: what comes after an end does not exist."""
        self.next_offset = 0
        """Where reading goes on: all records before it have been taken in."""
        self.begin = 0
        """Where reading began."""
        self.cut = False
        """Whether the topic holds records from before `begin`, which the look-back window left out."""
        self.forgotten = -1
        """Offset of the newest record of any owner that the relay no longer knows."""
        self.high_watermark: int | None = None
        """Where the partition ended when the broker was last asked."""
        self._caught_up = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def bury(self, key: bytes) -> None:
        """Remember that a task which leaves memory has ended."""
        self.ended[key] = None
        if len(self.ended) > _MAX_ENDED:
            del self.ended[next(iter(self.ended))]

    @property
    def caught_up(self) -> bool:
        """Whether everything has been read that was there at the start."""
        return self._caught_up.is_set()

    @property
    def awaited(self) -> bool:
        """Whether anybody has to be told how far reading has come."""
        return bool(self._waiting) or not self._caught_up.is_set()

    def end(self, next_offset: int) -> None:
        """Take Kafka's word that nothing is left; right before the end there need not be a record."""
        self._caught_up.set()
        self.reach(next_offset)

    def start(self, begin: int, high_watermark: int, *, cut: bool) -> None:
        """Begin to read, or begin again, at an offset."""
        self.begin, self.next_offset, self.high_watermark = begin, begin, high_watermark
        self.cut = cut
        self.reach(begin)

    def reach(self, next_offset: int) -> None:
        """Say that everything before an offset has been taken in."""
        self.next_offset = max(self.next_offset, next_offset)
        if self.high_watermark is not None and self.next_offset >= self.high_watermark:
            self._caught_up.set()
        if self._waiting:
            self._wake()

    async def wait_caught_up(self, deadline: float) -> bool:
        """Wait until the partition has been read to where it ended at the start, at most until a loop time."""
        if not self.caught_up:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._caught_up.wait()
        return self.caught_up

    async def wait_for(self, offset: int, deadline: float) -> bool:
        """Wait until a record has been taken in, at most until a loop time; tell whether it has."""
        if self.next_offset > offset:
            return True
        future = asyncio.get_running_loop().create_future()
        entry = (offset, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout_at(deadline):
                await future
        except TimeoutError:
            return False
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
        return True

    def _wake(self) -> None:
        for offset, future in self._waiting:
            if offset < self.next_offset and not future.done():
                future.set_result(None)
