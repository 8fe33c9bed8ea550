"""Streams: from a request to a subscriber. Decides between a stream, an end and a refusal; sends nothing itself."""

import asyncio
import random
import re
import time
from datetime import UTC, datetime

from contracts.cursor import Cursor, Position, parse_composite_cursor, parse_cursor
from contracts.errors import CursorError, TaskIdError
from contracts.task import TaskId, parse_task_id
from contracts.ticket import Ticket
from sse_relay.archive import Archive
from sse_relay.errors import (
    BadCursor,
    NotCaughtUp,
    OtherShard,
    Overload,
    PartitionNeeded,
    TicketRefused,
    UnknownTask,
    WrongPartition,
)
from sse_relay.hub import Hub
from sse_relay.log import TaskLog
from sse_relay.seats import Seat
from sse_relay.settings import Settings
from sse_relay.subscriber import LOG_LOST, LOG_RESET, OwnerSubscriber, Subscriber, TaskSubscriber

_ASK_SECONDS = 1.0
"""How long to wait for a record to come in before Kafka is asked whether it exists."""
_PARTITION = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


class Streams:
    """Opens streams and snapshots over a hub."""

    def __init__(self, settings: Settings, hub: Hub, archive: Archive) -> None:
        self._settings = settings
        self._hub = hub
        self._archive = archive

    async def snapshot(self, ticket: Ticket, task_text: str, partition_text: str = "") -> bytes:
        """Return a task's snapshot as JSON, or raise a Refusal."""
        deadline = self._deadline()
        task_id = self._task_id(ticket, task_text)
        partition = self._partition(ticket, partition_text)
        try:
            await self._reach_start(ticket, partition, None, deadline)
            return self._hub.snapshot(await self._log(ticket, task_id))
        except Overload:
            raise NotCaughtUp("not yet") from None

    async def open_task(
        self, ticket: Ticket, task_text: str, cursor_text: str, partition_text: str = ""
    ) -> Subscriber | None:
        """Return the subscriber of one task, or None when its cursor is the task's end; raise Refusal or Overload."""
        deadline = self._deadline()
        task_id = self._task_id(ticket, task_text)
        partition = self._partition(ticket, partition_text)
        cursor = _task_cursor(cursor_text)
        if cursor and cursor.end and ticket.task_id and not self._hub.find(task_id, cursor.position.partition):
            return None  # the cursor itself says that everything has been seen
        seat = self._hub.seats.take(ticket.owner)
        try:
            await self._reach_start(ticket, partition, cursor, deadline)
            subscriber = await self._task_subscriber(ticket, task_id, cursor, seat, deadline)
        except BaseException:
            seat.release()
            raise
        if subscriber is None:
            seat.release()
        return subscriber

    async def open_owner(self, ticket: Ticket, cursor_text: str, partition_text: str = "") -> Subscriber:
        """Return the subscriber of everything of the ticket's owner; raise Refusal or Overload.

        A relay that has only some partitions has only a part of it, which has to be asked for by one of them.
        """
        if ticket.task_id is not None:
            raise TicketRefused("a ticket for one task")
        self._require_part(self._partition(ticket, partition_text))
        deadline = self._deadline()
        seen = _owner_cursor(cursor_text)
        seat = self._hub.seats.take(ticket.owner)
        try:
            await self._caught_up(deadline)
            return await self._owner_subscriber(ticket, seen, seat, deadline)
        except BaseException:
            seat.release()
            raise

    async def _task_subscriber(
        self, ticket: Ticket, task_id: TaskId, cursor: Cursor | None, seat: Seat, deadline: float
    ) -> Subscriber | None:
        if cursor is None:
            log = await self._log(ticket, task_id)
            return TaskSubscriber(self._hub, seat, self._expiry(ticket), log, None)
        reached = await self._reach(cursor.position, deadline)
        log = await self._log(ticket, task_id, cursor)
        seen, gap = _place(log, cursor, reached=reached)
        if log.ended and seen == log.last:
            return None
        return TaskSubscriber(self._hub, seat, self._expiry(ticket), log, seen, gap)

    async def _owner_subscriber(
        self, ticket: Ticket, seen: dict[int, int] | None, seat: Seat, deadline: float
    ) -> Subscriber:
        gap = ""
        for number, offset in (seen or {}).items():
            if not await self._reach(Position(number, offset), deadline):
                gap = LOG_RESET
        owner = self._hub.owner(ticket.owner)
        if seen is not None and not gap:
            gap = self._owner_gap(ticket, seen)
        return OwnerSubscriber(self._hub, seat, self._expiry(ticket), owner, None if gap else seen, gap)

    def _owner_gap(self, ticket: Ticket, seen: dict[int, int]) -> str:
        """Tell why a composite cursor cannot be resumed from; raise BadCursor when it never could."""
        owner, gap = self._hub.owner(ticket.owner), ""
        # A client that has seen a record of the window has seen all that was before the window.
        is_recent = any(offset >= self._hub.partitions[number].begin for number, offset in seen.items())
        for number, partition in self._hub.partitions.items():
            gone = max(owner.lost.get(number, -1), partition.forgotten)
            if number not in seen:
                gap = LOG_LOST if gone >= 0 or (partition.cut and not is_recent) else gap
            elif seen[number] < max(gone, partition.begin - 1):
                gap = LOG_LOST
            elif not owner.holds(Position(number, seen[number])) and seen[number] > max(gone, partition.begin - 1):
                raise BadCursor("not a record of this owner")
        return gap

    async def _log(self, ticket: Ticket, task_id: TaskId, cursor: Cursor | None = None) -> TaskLog:
        position = ticket.start or (cursor.position if cursor else None)
        log = self._hub.find(task_id, position.partition if position else None)
        if ticket.start is not None and _wants_more(log, ticket.start, cursor):
            log = await self._archive.restore(task_id, ticket.start)
        if log is None or log.owner != ticket.owner:
            raise UnknownTask("not there")
        return log

    def _task_id(self, ticket: Ticket, text: str) -> TaskId:
        try:
            task_id = parse_task_id(text)
        except TaskIdError:
            raise UnknownTask("not a task id") from None
        if ticket.task_id not in (None, task_id):
            raise UnknownTask("a ticket for another task")
        return task_id

    def _partition(self, ticket: Ticket, text: str) -> int | None:
        """Return the partition that a URL names, if it does; it is for the gateway, and has only to be right."""
        if not text:
            return None
        if not _PARTITION.fullmatch(text) or int(text) >= self._settings.partition_count:
            raise WrongPartition("no such partition")
        if ticket.start is not None and int(text) != ticket.start.partition:
            raise WrongPartition("not the ticket's")
        return int(text)

    def _require_part(self, partition: int | None) -> None:
        """Raise OtherShard or PartitionNeeded unless this relay has all that can be meant."""
        if partition is None and len(self._hub.partitions) < self._settings.partition_count:
            raise PartitionNeeded("a part of the partitions")
        if partition is not None and partition not in self._hub.partitions:
            raise OtherShard("not a partition of this relay")

    async def _reach_start(self, ticket: Ticket, partition: int | None, cursor: Cursor | None, deadline: float) -> None:
        if ticket.start is None:
            if cursor is None or partition is not None:
                self._require_part(partition)
            await self._caught_up(deadline)
        elif not await self._reach(ticket.start, deadline):
            raise UnknownTask("the log ends before the ticket begins")

    async def _caught_up(self, deadline: float) -> None:
        for partition in self._hub.partitions.values():
            if not await partition.wait_caught_up(deadline):
                raise Overload("starting")

    async def _reach(self, position: Position, deadline: float) -> bool:
        """Wait until a position has been read; tell whether it can be: False when Kafka's log ends before it."""
        if position.partition >= self._settings.partition_count:
            raise BadCursor("no such partition")
        if (partition := self._hub.partitions.get(position.partition)) is None:
            raise OtherShard("not a partition of this relay")
        patience = min(deadline, asyncio.get_running_loop().time() + _ASK_SECONDS)
        if await partition.wait_for(position.offset, patience):
            return True
        if await self._archive.ends_before(position):
            return False
        if await partition.wait_for(position.offset, deadline):
            return True
        raise Overload("behind")

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.catch_up_seconds

    def _expiry(self, ticket: Ticket) -> float:
        """Return when a stream ends: its randomised lifetime, or with its ticket."""
        lifetime = self._settings.lifetime_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
        left = (ticket.expires_at - datetime.now(UTC)).total_seconds()
        return time.monotonic() + max(1.0, min(lifetime, left))


def _wants_more(log: TaskLog | None, start: Position, cursor: Cursor | None) -> bool:
    """Tell whether Kafka has to be asked: for all of a task, for its beginning, or for the middle of a finished one."""
    if log is None:
        return True
    if not log.whole and start.offset < log.first:
        return True
    return log.sealed and cursor is not None and cursor.position.offset < log.last


def _place(log: TaskLog, cursor: Cursor, *, reached: bool) -> tuple[int | None, str]:
    """Return the offset that a stream goes on from, and why it cannot; raise BadCursor for another task's record."""
    offset = cursor.position.offset
    if not reached:
        return None, LOG_RESET
    if cursor.position.partition != log.partition:
        raise BadCursor("another partition")
    if offset == log.last or log.holds(offset):
        if cursor.end and offset != log.end:
            raise BadCursor("not the end")
        return offset, ""
    if offset == log.lost and not cursor.end:
        return offset, ""
    if not cursor.end and (offset < log.lost or (not log.whole and offset < log.offsets[0])):
        return None, LOG_LOST
    raise BadCursor("not a record of this task")


def _task_cursor(text: str) -> Cursor | None:
    try:
        return parse_cursor(text) if text else None
    except CursorError:
        raise BadCursor("not a cursor of one task") from None


def _owner_cursor(text: str) -> dict[int, int] | None:
    try:
        return dict(parse_composite_cursor(text).offsets) if text else None
    except CursorError:
        raise BadCursor("not a cursor of an owner's stream") from None
