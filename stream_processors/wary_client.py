"""A Kafka client that uses no connection whose broker did not say what it understands.

A broker that is being stopped can answer the question for its versions with nothing. aiokafka keeps such a connection,
each request on it fails with an error that is not retried, and the sender or the coordinator that meets it ends for
good. Closed at once, it is a connection like any other that broke.
"""

from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason

from stream_processors.errors import LogStalled


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
