"""The local broker against what can happen to it."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.broker import Broker

RECORDS = [b"%d" % number for number in range(200)]


async def create(bootstrap: str, topic: str, replicas: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, replicas)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        for acknowledged in [await producer.send(topic, value) for value in values]:
            await acknowledged


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(20):
        return [(await consumer.getone()).value for _ in range(count)]


async def test_the_shared_broker_gives_back_what_it_acknowledged(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.numbers"
    await create(kafka, topic)
    await produce(kafka, topic, RECORDS)
    assert await consume(kafka, topic, len(RECORDS)) == RECORDS


async def test_a_killed_broker_comes_back_on_its_port_with_its_records(broker: Broker) -> None:
    await create(broker.bootstrap, "numbers")
    await produce(broker.bootstrap, "numbers", RECORDS)
    before, pid = broker.bootstrap, broker.pid
    broker.kill()
    assert broker.pid is None
    broker.start(timeout_seconds=20)
    assert (broker.bootstrap == before, broker.pid == pid) == (True, False)
    assert await consume(broker.bootstrap, "numbers", len(RECORDS)) == RECORDS
    broker.restart()
    assert await consume(broker.bootstrap, "numbers", len(RECORDS)) == RECORDS
