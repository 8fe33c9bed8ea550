"""Three local brokers that replicate to each other."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.cluster import Cluster


async def start_all(cluster: Cluster) -> None:
    """Start what does not run; the wait is in a thread, the launch must not be."""
    for broker in cluster.brokers.values():
        broker.launch()
    for broker in cluster.brokers.values():
        await asyncio.to_thread(broker.wait_ready)


async def create(bootstrap: str, topic: str) -> int:
    """Create a topic of one partition in three copies and return the broker that leads it.

    A broker that is asked right after the creation may not have heard of it.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 3)])
        async with asyncio.timeout(20):
            while True:
                (described,) = await admin.describe_topics([topic])
                for partition in described["partitions"]:
                    if len(partition["isr"]) == 3:
                        return int(partition["leader"])
                await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def test_a_killed_broker_costs_no_record_and_the_writer_sees_no_error(
    cluster: Cluster, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}.numbers"
    leader = await create(cluster.bootstrap, topic)

    sent = [b"%d" % number for number in range(300)]
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True) as producer:
        for value in sent[:100]:
            await producer.send_and_wait(topic, value)
        in_flight = [await producer.send(topic, value) for value in sent[100:200]]
        cluster.brokers[leader].kill()
        in_flight += [await producer.send(topic, value) for value in sent[200:]]
        async with asyncio.timeout(30):
            await asyncio.gather(*in_flight)
    await start_all(cluster)

    consumer = AIOKafkaConsumer(topic, bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(30):
        assert [(await consumer.getone()).value for _ in sent] == sent


def test_a_cluster_stops_in_peace_though_one_broker_is_paused_and_starts_again(cluster: Cluster) -> None:
    bootstrap = cluster.bootstrap
    cluster.brokers[2].pause()
    cluster.stop()
    assert [broker.pid for broker in cluster.brokers.values()] == [None] * 3
    assert cluster.start() == bootstrap
    assert None not in [broker.pid for broker in cluster.brokers.values()]
