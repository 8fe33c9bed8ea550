"""What is played: tasks with owners and tickets, and the records' form, made by the same codec as real ones."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.attempt import Attempt
from contracts.codec import Origin, Record, encode_event
from contracts.cursor import Position
from contracts.events import TaskEvent, TaskStarted, VersionDelta
from contracts.task import OwnerId, TaskId
from contracts.ticket import Ticket, sign_ticket

ATTEMPT = Attempt(1, 1_763_852_917_123)
TASKS_PER_OWNER = 50
STAMP_MARK = "~t"
STAMP_DIGITS = 16
# 18 characters of mark and time and 22 of prose make the 40 by which producer.c lets the offset grow.
_PROSE = "탐구 과정에서 변인들을 스스로 통제하며 "
DELTA_CHARACTERS = len(_PROSE) + len(STAMP_MARK) + STAMP_DIGITS
_SEQUENCE, _OFFSET, _STAMP = 777_000_777, 888_000_888, "9990009990009990"


@dataclass(frozen=True, slots=True)
class StagedTask:
    """A task to be written and read."""

    task_id: TaskId
    owner: OwnerId

    @property
    def origin(self) -> Origin:
        """Whose it is, for the codec."""
        return Origin(self.owner, "bench")


def stage_tasks(count: int, seed: str) -> list[StagedTask]:
    """Return tasks whose ids follow from the seed."""
    chance = random.Random(seed)
    return [
        StagedTask(TaskId(f"{chance.getrandbits(128):032x}"), OwnerId(f"owner-{number // TASKS_PER_OWNER}"))
        for number in range(count)
    ]


def first_record(task: StagedTask) -> Record:
    """Return the record that makes a task known to every reader."""
    return encode_event(TaskStarted(task_id=task.task_id, attempt=ATTEMPT, sequence=0), task.origin)


def delta_of(task: StagedTask, sequence: int, offset: int, stamp: str) -> TaskEvent:
    """Return one delta, about 200 bytes as a record's value; `stamp` is the time of writing in 16 digits."""
    return VersionDelta(
        task_id=task.task_id,
        attempt=ATTEMPT,
        sequence=sequence,
        version=1,
        offset=offset,
        text=f"{STAMP_MARK}{stamp}{_PROSE}",
    )


def template_line(task: StagedTask) -> str:
    """Return a task's line for producer.c: key, value and headers with %S, %O and %T for what changes."""
    record = encode_event(delta_of(task, _SEQUENCE, _OFFSET, _STAMP), task.origin)
    headers = [f"{name}={_with_marks(value.decode())}" for name, value in record.headers]
    return "\t".join([record.key.decode(), _with_marks(record.value.decode()), *headers])


def _with_marks(text: str) -> str:
    assert "%" not in text, "the producer would take it for a mark"
    return text.replace(str(_SEQUENCE), "%S").replace(str(_OFFSET), "%O").replace(_STAMP, "%T")


def stream_path(task: StagedTask, key: Ed25519PrivateKey, start: Position) -> str:
    """Return the path of a task's stream with its ticket, as a browser asks for it."""
    ticket = Ticket(task.owner, datetime.now(UTC) + timedelta(hours=2), task.task_id, start)
    return f"/v1/tasks/{task.task_id}/events?ticket={sign_ticket(ticket, key)}"


def request_lines(paths: Sequence[str], positions: Sequence[Position | None]) -> str:
    """Return the text of client.c's file of requests."""
    return "".join(
        f"{path}\t{'' if position is None else position}\n" for path, position in zip(paths, positions, strict=True)
    )
