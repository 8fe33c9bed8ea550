"""How far a topic has been read, and who waits for it."""

import asyncio
import heapq
import itertools
from collections import defaultdict

from contracts.cursor import Position


class ReadProgress:
    """The next offset of each partition, with waiters for positions that are not read yet."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._waiters: defaultdict[int, list[tuple[int, int, asyncio.Future[None]]]] = defaultdict(list)
        self._ticket = itertools.count()

    def next_offset(self, partition: int) -> int | None:
        """Return the offset that is read next, or None before the first."""
        return self._next.get(partition)

    def advance(self, partition: int, next_offset: int) -> None:
        """Say that everything before `next_offset` has been read."""
        self._next[partition] = next_offset
        waiters = self._waiters[partition]
        while waiters and waiters[0][0] < next_offset:
            future = heapq.heappop(waiters)[2]
            if not future.done():
                future.set_result(None)

    async def wait_past(self, position: Position) -> None:
        """Return when the record at `position` has been read; the caller bounds the time."""
        if position.offset < self._next.get(position.partition, 0):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters[position.partition], (position.offset, next(self._ticket), future))
        await future
