"""Subscribers: open streams. Each is a position in a log, never a queue.

A subscriber is *live* (it has everything; the hub writes to it) or *behind* (just joined, or slow; it reads the log
from its own position). Joining, resuming and being slow are the same function. `pause_writing` and `resume_writing` of
asyncio's transports are the back-pressure; nothing joins or leaves in the middle of a batch, because all of this runs
in one thread without awaiting.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import orjson
from typing_extensions import override

from sse_relay.frame import body_of, encode_frame
from sse_relay.log import TaskLog
from sse_relay.owner import OwnerLog, composite
from sse_relay.seats import Seat

if TYPE_CHECKING:
    from sse_relay.hub import Hub

CHUNK_BYTES = 65_536
LOG_LOST = "history_lost"
LOG_RESET = "log_reset"


def _drop(_: bytes) -> None:
    """Send nothing: there is no connection."""


class Subscriber(asyncio.Protocol):
    """One open stream: what task and owner streams share."""

    __slots__ = ("closing", "expires", "hub", "paused_since", "seat", "transport", "write")

    def __init__(self, hub: "Hub", seat: Seat, expires: float) -> None:
        self.hub = hub
        self.seat = seat
        self.expires = expires
        """When the stream is to end, in monotonic seconds."""
        self.paused_since = 0.0
        """Since when the peer has not read; 0 while it does."""
        self.closing = False
        self.transport: asyncio.Transport | None = None
        self.write: Callable[[bytes], None] = _drop
        """Send whole frames: the transport's own method, since the hub calls it for each event and viewer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to send; everything that is there goes out at once."""
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        self.transport.set_write_buffer_limits(high=CHUNK_BYTES)
        self.hub.join(self)
        self.catch_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the hub."""
        self.closing, self.transport, self.write = True, None, _drop
        self.leave_live()
        self.hub.leave(self)
        self.seat.release()

    def data_received(self, data: bytes) -> None:
        """Ignore what a client says after its request."""

    def pause_writing(self) -> None:
        """Become behind: the peer does not keep up."""
        self.paused_since = time.monotonic()
        self.leave_live()

    def resume_writing(self) -> None:
        """Go on from the own position."""
        self.paused_since = 0.0
        self.catch_up()

    def finish(self, farewell: bytes = b"") -> None:
        """End the stream between two frames; what has been written still goes out."""
        if self.closing or self.transport is None:
            return
        self.closing = True
        self.leave_live()
        if farewell:
            self.transport.write(farewell)
        self.transport.close()

    def abort(self) -> None:
        """End the stream at once; the client resumes by its cursor."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def reads(self) -> bool:
        """Whether more may be written now."""
        return not self.paused_since and not self.closing

    def catch_up(self) -> None:
        """Write what is behind the own position, then become live."""
        raise NotImplementedError

    def leave_live(self) -> None:
        """Stop being live, if it is."""
        raise NotImplementedError

    def replace_log(self, old: TaskLog, new: TaskLog) -> None:
        """Go on in a log that has been read again."""

    def reset(self, partition: int) -> None:
        """Say that a partition has begun anew."""
        raise NotImplementedError


class TaskSubscriber(Subscriber):
    """A viewer of one task. `seen` is the offset it has; None asks for a snapshot first."""

    __slots__ = ("gap", "log", "seen")

    def __init__(self, hub: "Hub", seat: Seat, expires: float, log: TaskLog, seen: int | None, gap: str = "") -> None:
        super().__init__(hub, seat, expires)
        self.log = log
        self.seen = seen
        self.gap = gap

    @override
    def catch_up(self) -> None:
        while self.reads:
            if self.seen is None or self.seen < self.log.lost:
                self._begin_with_snapshot()
                continue
            frames, self.seen = self.log.chunk_after(self.seen, CHUNK_BYTES)
            if frames:
                self.write(b"".join(frames))
            elif self.log.ended:
                self.finish()
            else:
                self.hub.watch(self.log, self)
                return

    @override
    def leave_live(self) -> None:
        if self in self.log.live:
            self.seen = self.log.last
            self.hub.unwatch(self.log, self)

    @override
    def replace_log(self, old: TaskLog, new: TaskLog) -> None:
        if self.log is old:
            self.leave_live()
            self.log = new
            if self.reads and self.transport is not None:
                self.catch_up()

    @override
    def reset(self, partition: int) -> None:
        if self.log.partition == partition:
            gap = orjson.dumps({"task_id": self.log.task_id, "reason": LOG_RESET})
            self.finish(encode_frame(b"gap", gap))

    def _begin_with_snapshot(self) -> None:
        log = self.log
        parts = []
        if self.gap or self.seen is not None:
            parts.append(encode_frame(b"gap", orjson.dumps({"task_id": log.task_id, "reason": self.gap or LOG_LOST})))
        parts.append(encode_frame(b"snapshot", self.hub.snapshot(log), str(log.cursor).encode()))
        self.seen, self.gap = log.last, ""
        self.write(b"".join(parts))


class OwnerSubscriber(Subscriber):
    """A viewer of everything of one owner. `seen` names an offset for each partition; None asks for snapshots first."""

    __slots__ = ("gap", "log", "outbox", "seen")

    def __init__(
        self,
        hub: "Hub",
        seat: Seat,
        expires: float,
        log: OwnerLog,
        seen: dict[int, int] | None,
        gap: str = "",
    ) -> None:
        super().__init__(hub, seat, expires)
        self.log = log
        self.seen = seen
        self.gap = gap
        self.outbox: deque[bytes] = deque()

    @override
    def catch_up(self) -> None:
        while self.reads:
            if self.outbox:
                self.write(self._next_snapshots())
            elif self.seen is None or self._has_lost():
                self._begin_with_snapshots()
            elif data := self._next_frames(self.seen):
                self.write(data)
            else:
                self.hub.watch_owner(self.log, self)
                return

    @override
    def leave_live(self) -> None:
        if self in self.log.live:
            self.seen = dict(self.log.last)
            self.hub.unwatch_owner(self.log, self)

    @override
    def reset(self, partition: int) -> None:
        self.leave_live()
        self.seen, self.gap = None, LOG_RESET
        self.outbox.clear()
        if self.transport is not None:
            self.catch_up()

    def _has_lost(self) -> bool:
        seen = self.seen or {}
        return any(offset > seen.get(partition, -1) for partition, offset in self.log.lost.items())

    def _begin_with_snapshots(self) -> None:
        """Put the whole state of now into the outbox; what happens while it is sent comes behind it."""
        if self.gap or self.seen is not None:
            self.outbox.append(encode_frame(b"gap", orjson.dumps({"reason": self.gap or LOG_LOST})))
        tasks = self.log.recent()
        self.outbox.extend(encode_frame(b"snapshot", self.hub.snapshot(log)) for log in tasks)
        cursor = str(self.log.cursor).encode()
        self.outbox.append(encode_frame(b"synced", orjson.dumps({"task_count": len(tasks)}), cursor))
        self.seen, self.gap = dict(self.log.last), ""

    def _next_snapshots(self) -> bytes:
        parts, size = [], 0
        while self.outbox and size < CHUNK_BYTES:
            parts.append(self.outbox.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _next_frames(self, seen: dict[int, int]) -> bytes:
        """Return frames of one partition behind `seen`, each with the cursor that it leads to."""
        for partition in sorted(self.log.tasks):
            if self.log.last.get(partition, -1) <= seen.get(partition, -1):
                continue
            parts, size = [], 0
            for offset, frame in self.log.after(partition, seen.get(partition, -1)):
                seen[partition] = offset
                parts.append(with_cursor(str(composite(seen)).encode(), frame))
                size += len(parts[-1])
                if size >= CHUNK_BYTES:
                    break
            if parts:
                return b"".join(parts)
        return b""


def with_cursor(cursor: bytes, frame: bytes) -> bytes:
    """Return a task's frame with a cursor of an owner's stream in place of its own."""
    return b"id: %b\n%b" % (cursor, body_of(frame))
