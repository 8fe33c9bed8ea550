"""Kafka goes away and comes back: refused in time, nothing lost, nothing doubled, nothing left over."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from contracts.topics import Topics
from deploy.local.broker import Broker
from deploy.topics import ensure_topics
from producer_api.settings import Settings
from tests.integration.test_producer_api_submit import records_of
from tests.support.producer_api import SUBMISSION, ask_until, serve, wait_ready, write_keys

KEY = {"Idempotency-Key": "once"}


@pytest.fixture
async def settings(broker: Broker, tmp_path: Path) -> Settings:
    await ensure_topics(broker.bootstrap, Topics(partition_count=3))
    return Settings(bootstrap=broker.bootstrap, partition_count=3, kafka_check_seconds=0.5, **write_keys(tmp_path))


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with serve(settings) as client:
        await wait_ready(client)
        await client.post("/v1/tickets")  # the owner's cookie
        yield client


async def post(client: httpx2.AsyncClient, key: str = "once") -> tuple[httpx2.Response, float]:
    began = time.monotonic()
    answer = await client.post("/v1/tasks", json=SUBMISSION, headers={"Idempotency-Key": key})
    return answer, time.monotonic() - began


def assert_refused(answer: httpx2.Response, seconds: float) -> None:
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/kafka-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert seconds < 5.5  # five for Kafka, and a little for a busy machine


async def test_a_killed_broker_is_a_503_in_time_and_the_same_key_is_one_task_afterwards(
    client: httpx2.AsyncClient, settings: Settings, broker: Broker
) -> None:
    broker.kill()
    for _ in range(3):
        assert_refused(*await post(client))
    await ask_until(lambda: client.get("/readyz"), lambda answer: answer.status_code == 503)
    answer, seconds = await post(client)
    assert_refused(answer, seconds)
    assert seconds < 1  # it is known to be away: refused before anything is written
    broker.start()
    await wait_ready(client)
    answers = [(await post(client))[0] for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(await records_of(settings, settings.topics.requests)) == 1


async def test_a_frozen_broker_is_a_503_in_time_and_what_it_had_received_is_one_task(
    client: httpx2.AsyncClient, settings: Settings, broker: Broker
) -> None:
    broker.pause()
    try:
        outcomes = await asyncio.gather(*(post(client) for _ in range(20)))
    finally:
        broker.resume()
    for answer, seconds in outcomes:
        assert_refused(answer, seconds)
    await wait_ready(client)
    answer = await ask_until(
        lambda: client.post("/v1/tasks", json=SUBMISSION, headers=KEY), lambda answer: answer.status_code == 202
    )
    tasks = {record.key.decode() for record in await records_of(settings, settings.topics.requests)}
    assert tasks == {answer.json()["task_id"]}


async def test_an_outage_cannot_fill_the_memory(settings: Settings, broker: Broker) -> None:
    small = settings.model_copy(update={"unacknowledged_count": 5, "kafka_check_seconds": 60, "owner_burst_count": 99})
    async with serve(small) as client:
        await wait_ready(client)
        await client.post("/v1/tickets")
        broker.pause()
        try:
            outcomes = await asyncio.gather(*(post(client, str(number)) for number in range(30)))
            for answer, seconds in outcomes:
                assert_refused(answer, seconds)
            at_once = [seconds for _, seconds in outcomes if seconds < 2]
            assert len(at_once) == 25
        finally:
            broker.resume()


async def test_what_was_refused_is_not_written_when_the_broker_comes_back(settings: Settings, broker: Broker) -> None:
    blind = settings.model_copy(update={"kafka_check_seconds": 60, "kafka_deadline_seconds": 1.0})
    async with serve(blind) as client:
        await wait_ready(client)
        broker.kill()
        for key in ("a", "b", "c"):
            assert_refused(*await post(client, key))
        await ask_until(lambda: client.get("/metrics"), lambda answer: "api_unacknowledged_records 0.0" in answer.text)
        broker.start()
        await ask_until(
            lambda: client.post("/v1/tasks", json=SUBMISSION, headers=KEY), lambda answer: answer.status_code == 202
        )
    assert len(await records_of(settings, settings.topics.events)) == 1


async def test_a_process_that_starts_before_its_broker_is_ready_when_the_broker_is(
    settings: Settings, broker: Broker
) -> None:
    broker.kill()
    async with serve(settings) as client:
        answer, seconds = await post(client)
        assert_refused(answer, seconds)
        assert (await client.get("/livez")).status_code == 200
        broker.start()
        await wait_ready(client)
        assert (await post(client))[0].status_code == 202
