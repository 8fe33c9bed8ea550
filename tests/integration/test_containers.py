"""Real containers: Kafka by the contract of its public image, and our services from submit to success."""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.codec import decode_result
from contracts.lifecycle import Stage
from contracts.topics import Topics
from deploy.containers.images import Images
from deploy.local.ports import free_ports
from deploy.local.sample_notes import sample_notes
from deploy.local.viewer import follow, submit
from deploy.topics import ensure_topics
from tests.support.containers import (
    ContainerSystem,
    KafkaContainer,
    made_by_this_process,
    stop_in_peace,
)

# The first test may have to make all images.
pytestmark = [pytest.mark.needs("docker"), pytest.mark.timeout(900)]
TOPICS = Topics("contained", 3)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert not made_by_this_process()


async def publish(bootstrap: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(TOPICS.events.name, value, partition=0)


async def published(bootstrap: str, count: int) -> list[bytes]:
    partition = TopicPartition(TOPICS.events.name, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await consumer.getone()).value for _ in range(count)]


async def test_a_broker_on_a_random_port_keeps_our_topics_and_records(images: Images) -> None:
    with KafkaContainer(images.kafka) as kafka:
        await ensure_topics(kafka.bootstrap, TOPICS)
        await publish(kafka.bootstrap, b"1", b"2")
        assert await published(kafka.bootstrap, 2) == [b"1", b"2"]


async def test_a_killed_broker_has_its_records_and_its_address_when_it_is_started_again(images: Images) -> None:
    with KafkaContainer(images.kafka, port=free_ports(1)[0]) as kafka:
        await ensure_topics(kafka.bootstrap, TOPICS)
        await publish(kafka.bootstrap, b"before")
        kafka.get_wrapped_container().kill()
        kafka.get_wrapped_container().start()
        kafka.wait_ready(starts=2)
        await publish(kafka.bootstrap, b"after")
        assert await published(kafka.bootstrap, 2) == [b"before", b"after"]


def test_a_task_succeeds_from_submit_to_its_last_word(containers: ContainerSystem) -> None:
    task = submit(containers.api_url, sample_notes()[0].body)
    assert task.events_url.startswith(containers.relay_url)
    states = list(follow(task, seconds=60))
    assert states[-1].stage is Stage.SUCCEEDED, states[-1].reason
    assert len(states[-1].versions) == 3
    assert all(version.text for version in states[-1].versions)


async def test_the_result_of_a_task_is_written_once(containers: ContainerSystem) -> None:
    task = submit(containers.api_url, sample_notes()[1].body)
    list(follow(task, seconds=60))
    results = Topics().results.name
    async with AIOKafkaConsumer(
        results, bootstrap_servers=containers.kafka.bootstrap, auto_offset_reset="earliest",
        isolation_level="read_committed", enable_auto_commit=False,
    ) as consumer:  # fmt: skip
        async with asyncio.timeout(60):
            while (record := await consumer.getone()).key != task.task_id.encode():
                pass
        assert decode_result(record.value).stage is Stage.SUCCEEDED


def test_no_service_runs_as_root(containers: ContainerSystem) -> None:
    for name, service in containers.services.items():
        assert service.exec(["id", "-u"]).output.decode().strip() == "10001", name


def test_the_key_that_signs_tickets_is_in_the_api_alone(containers: ContainerSystem) -> None:
    holders = {name for name, service in containers.services.items() if _has(service, "/keys/private/ticket.pem")}
    readers = {name for name, service in containers.services.items() if _has(service, "/keys/public/ticket.pub.pem")}
    assert (holders, readers) == ({"api"}, {"relay"})


def _has(service: KafkaContainer, path: str) -> bool:
    return bool(service.exec(["test", "-s", path]).exit_code == 0)


# The last one: it ends the services that this module's tests share.
@pytest.mark.parametrize("name", ["api", "relay", "worker", "projector", "simulator"])
def test_a_service_ends_in_peace_when_its_container_is_stopped(containers: ContainerSystem, name: str) -> None:
    status, log = stop_in_peace(containers.services[name])
    assert status == 0, log
