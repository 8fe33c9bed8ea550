"""What the requests topic says of each task: the first request with an id is the one."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from contracts.task import TaskId
from producer_api.accepted_task import AcceptedTask


class RequestIndex:
    """The accepted tasks of the idempotency window, in memory.

    Bounded: beyond `task_count` the oldest are forgotten. A repeated key of a forgotten task writes a second request
    with the same id. The task keeps its one outcome, because its first terminal event stands; but the deadlines of
    the answer are newer, a changed body is not noticed, and a worker that has forgotten the task as
    well may pay for it again.
    """

    def __init__(self, window: timedelta, task_count: int, now: Callable[[], datetime]) -> None:
        self._window = window
        self._task_count = task_count
        self._now = now
        self._tasks: OrderedDict[TaskId, AcceptedTask] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tasks)

    def note(self, task: AcceptedTask) -> None:
        """Remember a request; of several with one id the first in the log stays."""
        known = self.find(task.task_id)
        if known is None:
            self._tasks.pop(task.task_id, None)
            self._tasks[task.task_id] = task
        elif task.position < known.position:
            self._tasks[task.task_id] = task
        self._forget()

    def find(self, task_id: TaskId) -> AcceptedTask | None:
        """Return the accepted task of an id, if it is known and not older than the window."""
        task = self._tasks.get(task_id)
        return task if task is not None and task.accepted_at > self._now() - self._window else None

    def _forget(self) -> None:
        oldest = self._now() - self._window
        while self._tasks:
            first = next(iter(self._tasks.values()))
            if len(self._tasks) <= self._task_count and first.accepted_at > oldest:
                return
            self._tasks.popitem(last=False)
