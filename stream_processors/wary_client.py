"""A Kafka client that uses no connection whose broker did not say what it understands.

A broker that is being stopped can answer the question for its versions with nothing. aiokafka keeps such a connection,
each request on it fails with an error that is not retried, and the sender or the coordinator that meets it ends for
good. Closed at once, it is a connection like any other that broke.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason

from stream_processors.errors import LogStalled

_CLOSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class WaryClient(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """The client of aiokafka's consumers and producers, without the connections of no use."""

    async def _get_conn(
        self, node_id: int | str, *, group: int = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any | None:
        connection = await super()._get_conn(node_id, group=group, no_hint=no_hint)
        if connection is None or connection._versions:
            return connection
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        return None


def require_fetching(consumer: Any) -> None:
    """Raise LogStalled when a consumer's fetching has ended: aiokafka would hand out nothing, without a word."""
    if consumer._fetcher._fetch_task.done():
        raise LogStalled("fetching has ended")


def make_wary(client: Any) -> None:
    """Turn the client that a consumer or producer has just made for itself into a wary one."""
    client.__class__ = WaryClient  # neither takes a client of ours, and both have made theirs before anything runs


@asynccontextmanager
async def running(client: Any) -> AsyncIterator[Any]:
    """Start a consumer or producer, and close it whatever happens."""
    try:
        await client.start()
        yield client
    finally:
        await close(client)


async def close(client: Any) -> None:
    """Stop a consumer or producer, for some seconds at most.

    In a task of its own: one whose connection broke may raise anything here, even a cancellation that nobody asked for,
    and that would end whoever uses the client without a word.
    """
    stopping = asyncio.create_task(client.stop())
    done, _ = await asyncio.wait({stopping}, timeout=_CLOSE_SECONDS)
    if not done:
        stopping.cancel()
    elif not stopping.cancelled() and (error := stopping.exception()) is not None:
        log.warning("client.close_failed", error=type(error).__name__)
