"""The heartbeat: one timer for all streams. Comments after silence, evictions, ends of life.

Without it every client would take the relay for dead, so no error ends it: the stream that fails is ended, the others
get theirs. What is logged is the kind of error, never its words.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from itertools import chain

import structlog

from sse_relay.answer import jittered
from sse_relay.frame import COMMENT, encode_retry
from sse_relay.hub import Hub
from sse_relay.log import TaskLog
from sse_relay.owner import OwnerLog
from sse_relay.settings import Settings
from sse_relay.subscriber import Subscriber

_log = structlog.get_logger(__name__)
_TICK_SECONDS = 1.0
_INSPECT_TICKS = 5
_EXPIRE_TICKS = 300


class Heartbeat:
    """Looks at the hub once a second."""

    def __init__(self, settings: Settings, hub: Hub) -> None:
        self._settings = settings
        self._hub = hub

    async def run(self) -> None:
        """Beat until cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            tick += 1
            self.tick(tick, time.monotonic())

    def tick(self, tick: int, now: float) -> None:
        """Do what is due at the n-th second; what fails does not keep the rest from being done."""
        self._do(self.beat, now)
        if tick % _INSPECT_TICKS == 0 or self._settings.slow_reader_seconds < _INSPECT_TICKS:
            self._do(self.inspect, now)
        if tick % _EXPIRE_TICKS == 0:
            self._do(self._hub.expire, self._settings.look_back_seconds)

    def beat(self, now: float) -> None:
        """Send a comment to all who have heard nothing for a while."""
        silent_since = now - self._settings.heartbeat_seconds
        heard: chain[TaskLog | OwnerLog] = chain(self._hub.watched, self._hub.watched_owners)
        for log in [log for log in heard if log.spoke <= silent_since]:
            log.spoke = now
            self._hub.tally.heartbeat_count += len(log.live)
            for subscriber in tuple(log.live):
                self._do(subscriber.write, COMMENT, ending=subscriber)

    def inspect(self, now: float) -> None:
        """Evict those who do not read, and end those whose time is over."""
        stuck_since = now - self._settings.slow_reader_seconds
        for subscriber in tuple(self._hub.subscribers):
            if subscriber.paused_since and subscriber.paused_since <= stuck_since:
                self._hub.tally.ended["slow"] += 1
                self._do(subscriber.abort, ending=subscriber)
            elif subscriber.expires <= now and not subscriber.closing:
                self._hub.tally.ended["lifetime"] += 1
                farewell = encode_retry(jittered(self._settings.retry_ms))
                self._do(subscriber.finish, farewell, ending=subscriber)

    def _do(self, duty: Callable[..., None], *arguments: object, ending: Subscriber | None = None) -> None:
        """Do one thing; when it fails say so, and end the stream that it was done for: its client resumes."""
        try:
            duty(*arguments)
        except Exception as error:  # noqa: BLE001 - the rim: all other streams depend on this timer
            _log.error("heartbeat.failed", reason=type(error).__name__)
            if ending is not None:
                self._hub.tally.ended["failed"] += 1
                with contextlib.suppress(Exception):
                    ending.abort()
