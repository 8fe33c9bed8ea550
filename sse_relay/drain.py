"""The drain: from SIGTERM to the end of the process, on one deadline."""

import asyncio
import contextlib
from collections.abc import Callable

from sse_relay.answer import jittered
from sse_relay.frame import encode_retry
from sse_relay.hub import Hub
from sse_relay.settings import Settings

_STREAMS_AT_ONCE = 100


class Drain:
    """Not ready; then every stream is told when to come back, and ends between two frames; then the server stops."""

    def __init__(self, settings: Settings, hub: Hub) -> None:
        self._settings = settings
        self._hub = hub
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether new streams are no longer wanted."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Ask for the drain; may be called again."""
        self._begun.set()

    async def run(self, stop_server: Callable[[], None]) -> None:
        """Wait until the drain is asked for, and do it."""
        await self._begun.wait()
        deadline = asyncio.get_running_loop().time() + self._settings.drain_seconds
        await asyncio.sleep(min(self._settings.drain_notice_seconds, self._settings.drain_seconds))
        await self._end_streams()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._hub.empty.wait()
        for subscriber in tuple(self._hub.subscribers):
            self._hub.tally.ended["drain_cut"] += 1
            subscriber.abort()
        stop_server()

    async def _end_streams(self) -> None:
        for count, subscriber in enumerate(tuple(self._hub.subscribers), 1):
            self._hub.tally.ended["drain"] += 1
            subscriber.finish(encode_retry(jittered(self._settings.retry_ms)))
            if count % _STREAMS_AT_ONCE == 0:
                await asyncio.sleep(0)
