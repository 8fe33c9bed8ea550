"""A worker that kills itself at one named point of a task's life; everything that is not wrapped is the product's own.

WORKER_DIE_AT names the point, or is empty. WORKER_CALL_LOG gets a line for each call of the model.
With WORKER_GATE it joins its group when that file exists, so that a test chooses the moment and not the machine.
The second version is called only when the first one is settled in the log, so that every point has one place.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import structlog

from contracts.codec import Record, RecordHeader, read_header
from contracts.cursor import Position
from contracts.topics import Topics
from stream_processors.app import WorkerProcess
from stream_processors.committer import Commit, Committer
from stream_processors.kafka_publisher import KafkaPublisher
from stream_processors.log_output import configure_logging
from stream_processors.model import Delta, Finished, ModelCall
from stream_processors.services import Services
from stream_processors.settings import WorkerSettings
from student_records.edition import Edition, edition_of
from tests.support.scripted_model import ScriptedModel

log = structlog.get_logger(__name__)


class Point(StrEnum):
    """Where a worker can die of one task, in the order of its life; the call is that of the second version."""

    FETCHED = "fetched"
    STARTED_SENT = "started sent"
    BEFORE_THE_CALL = "before the call"
    CALL_OPEN = "call open"
    MID_STREAM = "mid-stream"
    MODEL_DONE = "model done"
    TERMINAL_SENT = "terminal sent"
    TERMINAL_ACKNOWLEDGED = "terminal acknowledged"
    COMMITTED = "committed"


class Fate:
    """Knows where the worker dies, and what has come to pass before."""

    def __init__(self, point: Point | None) -> None:
        self._point = point
        self.started = asyncio.Event()
        self.first_settled = asyncio.Event()
        if point is None:
            self.started.set()
            self.first_settled.set()

    def reach(self, point: Point) -> None:
        """Die here, if this is the point."""
        if point is self._point:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingModel:
    """The scripted model, with a line in the call log for each call."""

    def __init__(self, fate: Fate, call_log: Path) -> None:
        self._fate = fate
        self._call_log = call_log

    async def stream(self, call: ModelCall) -> AsyncIterator[Delta | Finished]:
        reach: Callable[[Point], None] = self._fate.reach if call.version == 2 else _pass_by
        await (self._fate.first_settled if call.version == 2 else self._fate.started).wait()
        reach(Point.BEFORE_THE_CALL)
        with self._call_log.open("a") as log:
            log.write(f"{call.task_id} {call.version}\n")
        reach(Point.CALL_OPEN)
        async for item in ScriptedModel().stream(call):
            if isinstance(item, Finished):
                reach(Point.MODEL_DONE)
            yield item


class DyingPublisher(KafkaPublisher):
    """A publisher that looks at what goes by."""

    def __init__(self, producer: Callable[[], Any], topics: Topics, *, fate: Fate) -> None:
        super().__init__(producer, topics)
        self._fate = fate
        self._sent: set[asyncio.Future[Position]] = set()

    async def publish(self, record: Record) -> "asyncio.Future[Position]":
        header = read_header(record.headers)
        if header.terminal and self._sent:
            await asyncio.wait(self._sent)  # what came before is in the log, whatever becomes of this
        sent = await super().publish(record)
        if header.terminal:
            self._fate.reach(Point.TERMINAL_SENT)
        self._sent.add(sent)
        sent.add_done_callback(partial(self._note, header, record))
        return sent

    def _note(self, header: RecordHeader, record: Record, _: "asyncio.Future[Position]") -> None:
        version = orjson.loads(record.value).get("version")
        if header.type == "task.started":
            self._fate.reach(Point.STARTED_SENT)
            self._fate.started.set()
        elif header.type == "version.completed" and version == 1:
            self._fate.first_settled.set()
        elif header.type == "version.delta" and version == 2:
            self._fate.reach(Point.MID_STREAM)
        elif header.terminal:
            self._fate.reach(Point.TERMINAL_ACKNOWLEDGED)


class DyingCommitter(Committer):
    """A committer that looks at what the broker has confirmed."""

    def __init__(self, owner: str, *, fate: Fate) -> None:
        super().__init__(owner)
        self._fate = fate

    def confirm(self, commits: Mapping[int, Commit]) -> None:
        if any(commit.offset > 0 for commit in commits.values()):
            self._fate.reach(Point.COMMITTED)
        super().confirm(commits)


def _pass_by(point: Point) -> None:
    pass


async def _run(settings: WorkerSettings) -> int:
    die_at = os.environ["WORKER_DIE_AT"]
    fate = Fate(Point(die_at) if die_at else None)

    def load_edition(name: str) -> Edition:
        fate.reach(Point.FETCHED)
        return edition_of(name)

    worker = WorkerProcess(
        settings,
        Services(model=DyingModel(fate, Path(os.environ["WORKER_CALL_LOG"])), load_edition=load_edition),
        new_publisher=partial(DyingPublisher, fate=fate),
        new_committer=partial(DyingCommitter, fate=fate),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    if gate := os.environ.get("WORKER_GATE"):
        log.info("gate.reached")
        while not Path(gate).exists():  # noqa: ASYNC240, ASYNC110 - another process opens it, and nothing else runs
            await asyncio.sleep(0.02)
    return await worker.run()


if __name__ == "__main__":
    configure_logging("INFO")
    sys.exit(asyncio.run(_run(WorkerSettings())))
