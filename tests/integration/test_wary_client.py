"""A broker in its last moments answers the question for its versions with nothing; its connection must not be used."""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import IncompatibleBrokerVersion, NodeNotReadyError
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.structs import BrokerMetadata

from stream_processors.wary_client import make_wary

SHUTTING_DOWN = 8


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the first request with an error code and an empty list of versions."""
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    request = await reader.readexactly(size)
    answer = request[4:8] + struct.pack(">hi", SHUTTING_DOWN, 0)
    writer.write(struct.pack(">i", len(answer)) + answer)
    await reader.read()
    writer.close()


@pytest.fixture
async def client() -> AsyncIterator[AIOKafkaClient]:
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{port}")
    client.cluster = ClusterMetadata()
    client.cluster._brokers = {1: BrokerMetadata(1, "127.0.0.1", port, None)}
    async with server:
        yield client
        await client.close()


async def test_aiokafka_keeps_such_a_connection_and_fails_for_good(client: AIOKafkaClient) -> None:
    for _ in range(2):
        with pytest.raises(IncompatibleBrokerVersion):
            await client.send(1, FindCoordinatorRequest("group", 0))
    assert not IncompatibleBrokerVersion.retriable


async def test_a_wary_client_calls_the_broker_not_ready_which_is_tried_again(client: AIOKafkaClient) -> None:
    make_wary(client)
    for _ in range(2):
        with pytest.raises(NodeNotReadyError):
            await client.send(1, FindCoordinatorRequest("group", 0))
    assert NodeNotReadyError.retriable
