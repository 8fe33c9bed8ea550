"""The `Idempotency-Key` header, and one submission at a time for each task id."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from contracts.task import TaskId
from producer_api.deadline import Deadline
from producer_api.errors import InvalidRequest, KafkaUnavailable

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


def read_key(values: Sequence[str]) -> str | None:
    """Return the idempotency key of a request, None without one, or raise InvalidRequest."""
    if not values:
        return None
    if len(values) > 1:
        raise InvalidRequest(HEADER, "is given twice")
    if not _KEY.fullmatch(values[0]):
        raise InvalidRequest(HEADER, "must have 1 to 128 visible ASCII characters")
    return values[0]


class TaskLocks:
    """A lock for each task id that somebody is submitting right now."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[TaskId, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, task_id: TaskId, deadline: Deadline) -> AsyncIterator[None]:
        """Wait for the task's turn; raise KafkaUnavailable when it does not come before the deadline."""
        lock = self._locks.get(task_id)
        if lock is None:
            self._locks[task_id] = lock = asyncio.Lock()
        try:
            async with deadline.limit():
                await lock.acquire()
        except TimeoutError:
            raise KafkaUnavailable("the same submission is still waiting for Kafka") from None
        try:
            yield
        finally:
            lock.release()
