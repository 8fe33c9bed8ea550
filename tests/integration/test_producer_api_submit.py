"""Submissions over a real Kafka: what is on the topics, and one task for one key however it is sent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.codec import (
    decode_cancellation,
    decode_event,
    decode_request,
    encode_event,
    read_header,
    read_request_header,
)
from contracts.cursor import Position, parse_position
from contracts.events import TaskAccepted
from contracts.task import OwnerId, TaskId, task_id_for
from contracts.ticket import load_public_key, verify_ticket
from contracts.topics import Topic, Topics
from deploy.topics import ensure_topics
from producer_api.accepted_task import Deadlines, accepted_event, origin_of, plan_request
from producer_api.settings import Settings
from producer_api.submission import Submission
from tests.support.producer_api import SUBMISSION, ask_until, serve, wait_ready, write_keys

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
KEY = {"Idempotency-Key": "class-7-student-3"}


@pytest.fixture
async def settings(kafka: str, topic_prefix: str, tmp_path: Path) -> Settings:
    await ensure_topics(kafka, Topics(topic_prefix, 3))
    return Settings(
        bootstrap=kafka,
        topic_prefix=topic_prefix,
        partition_count=3,
        workers_group=f"{topic_prefix}-workers",
        **write_keys(tmp_path),
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with serve(settings) as client:
        await wait_ready(client)
        yield client


async def records_of(settings: Settings, topic: Topic) -> list[Any]:
    """Read a whole topic."""
    partitions = [TopicPartition(topic.name, number) for number in range(settings.partition_count)]
    found: list[Any] = []
    async with AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        async with asyncio.timeout(20):
            while len(found) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(records)
    return found


async def requests_of(settings: Settings) -> list[Any]:
    return await records_of(settings, settings.topics.requests)


async def test_an_accepted_task_is_on_both_topics_as_the_contract_says(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    answer = await client.post("/v1/tasks", json=SUBMISSION, headers={"traceparent": TRACE})
    assert answer.status_code == 202
    (event_record,) = await records_of(settings, settings.topics.events)
    (request_record,) = await requests_of(settings)
    event = decode_event(event_record.key, event_record.value, event_record.headers)
    request = decode_request(request_record.key, request_record.value)
    assert isinstance(event, TaskAccepted)
    assert event.task_id == request.task_id == answer.json()["task_id"]
    assert request.notes == SUBMISSION["notes"]
    more = read_request_header(request_record.headers)
    assert more.start == Position(event_record.partition, event_record.offset)
    assert request_record.partition == event_record.partition
    header = read_header(request_record.headers)
    assert header.traceparent == TRACE
    assert answer.headers["set-cookie"].startswith(f"draftstream_owner={header.owner}.")
    assert b"\n" not in event_record.value + request_record.value


async def test_the_answer_is_what_the_protocol_promises(client: httpx2.AsyncClient, settings: Settings) -> None:
    answer = await client.post("/v1/tasks", json={**SUBMISSION, "version_count": 2})
    body = answer.json()
    assert (answer.status_code, body["stage"], body["simulated"]) == (202, "queued", False)
    assert body["limit"] == {"characters": 500, "bytes": 1500}
    assert [version["version"] for version in body["versions"]] == [1, 2]
    assert answer.headers["cache-control"] == "no-store"
    public_key = load_public_key(settings.ticket_key_file.with_name("ticket.pub.pem").read_bytes())
    ticket = verify_ticket(body["ticket"], public_key)
    (event_record,) = await records_of(settings, settings.topics.events)
    assert (ticket.task_id, ticket.start) == (body["task_id"], Position(event_record.partition, event_record.offset))
    stream = f"http://127.0.0.1:8001/v1/partitions/{event_record.partition}/tasks/{body['task_id']}/events"
    assert body["links"]["events"] == stream


async def test_the_same_key_gets_the_same_answer_and_writes_nothing(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    first, second = [await client.post("/v1/tasks", json=SUBMISSION, headers=KEY) for _ in range(2)]
    assert (first.status_code, second.content) == (202, first.content)
    assert len(await requests_of(settings)) == 1


async def test_the_same_key_with_another_body_gets_409_and_writes_nothing(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    await client.post("/v1/tasks", json=SUBMISSION, headers=KEY)
    other = await client.post("/v1/tasks", json={**SUBMISSION, "version_count": 1}, headers=KEY)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/idempotency-key-reused")
    assert len(await requests_of(settings)) == 1
    assert len(await records_of(settings, settings.topics.events)) == 1


async def test_the_same_key_of_another_owner_is_another_task(client: httpx2.AsyncClient) -> None:
    mine = await client.post("/v1/tasks", json=SUBMISSION, headers=KEY)
    client.cookies.clear()
    theirs = await client.post("/v1/tasks", json=SUBMISSION, headers=KEY)
    assert mine.json()["task_id"] != theirs.json()["task_id"]


async def test_fifty_at_once_with_one_key_are_one_task(client: httpx2.AsyncClient, settings: Settings) -> None:
    await client.post("/v1/tickets")  # the owner's cookie
    answers = await asyncio.gather(*(client.post("/v1/tasks", json=SUBMISSION, headers=KEY) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len(await requests_of(settings)) == 1


async def test_two_processes_that_get_one_key_at_once_give_one_answer(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    async with serve(settings) as other:
        await wait_ready(other)
        await client.post("/v1/tickets")
        other.cookies = client.cookies
        answers = await asyncio.gather(
            *(each.post("/v1/tasks", json=SUBMISSION, headers=KEY) for each in (client, other) * 20)
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({(a.json()["task_id"], a.json()["accepted_at"], a.json()["ticket"]) for a in answers}) == 1
    assert len({record.key for record in await requests_of(settings)}) == 1


async def test_a_process_started_later_knows_the_keys_of_an_earlier_one(settings: Settings) -> None:
    async with serve(settings) as client:
        await wait_ready(client)
        first = await client.post("/v1/tasks", json=SUBMISSION, headers=KEY)
        cookies = client.cookies
    longer = settings.model_copy(update={"start_deadline_seconds": 900})
    async with serve(longer) as client:
        client.cookies = cookies
        await wait_ready(client)
        again = await client.post("/v1/tasks", json=SUBMISSION, headers=KEY)
        other = await client.post("/v1/tasks", json={**SUBMISSION, "version_count": 1}, headers=KEY)
    told = ("task_id", "accepted_at", "start_deadline", "end_deadline", "ticket", "versions", "limit")
    assert [again.json()[name] for name in told] == [first.json()[name] for name in told]
    assert other.status_code == 409


async def test_a_process_killed_between_the_event_and_the_request_leaves_no_second_task(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    signed = (await client.post("/v1/tickets")).headers["set-cookie"].partition("=")[2]
    owner = OwnerId(signed[:32])
    task_id = task_id_for(owner, KEY["Idempotency-Key"], settings.secret_file.read_bytes())
    await write_accepted(settings, owner, task_id)
    answer = await client.post("/v1/tasks", json=SUBMISSION, headers=KEY)
    assert (answer.status_code, answer.json()["task_id"]) == (202, task_id)
    (request_record,) = await requests_of(settings)
    events = await records_of(settings, settings.topics.events)
    assert [record.key.decode() for record in events] == [task_id, task_id]
    start = read_request_header(request_record.headers).start
    assert start == parse_position(f"{events[1].partition}-{events[1].offset}")


async def write_accepted(settings: Settings, owner: OwnerId, task_id: TaskId) -> None:
    submission = Submission.model_validate(SUBMISSION)
    request = plan_request(submission, task_id, 2026, Deadlines(600, 300), datetime.now(UTC))
    record = encode_event(accepted_event(request), origin_of(owner, ""))
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks="all") as producer:
        await producer.send_and_wait(settings.topics.events.name, record.value, key=record.key, headers=record.headers)


async def test_a_record_that_is_no_request_is_skipped_and_counted(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks="all") as producer:
        for value in (b"garbage", b"", b"{}", None):
            await producer.send_and_wait(settings.topics.requests.name, value, key=b"k")
    answers = [await client.post("/v1/tasks", json=SUBMISSION, headers={"Idempotency-Key": str(n)}) for n in range(9)]
    assert {answer.status_code for answer in answers} == {202}
    assert "api_skipped_requests 4.0" in (await client.get("/metrics")).text


async def test_a_task_is_cancelled_by_its_owner_as_soon_as_it_is_accepted_on_any_process(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    async with serve(settings) as other:
        await wait_ready(other)
        tasks = [(await client.post("/v1/tasks", json=SUBMISSION)).json() for _ in range(2)]
        other.cookies = client.cookies
        answers = [await client.post(tasks[0]["links"]["cancel"])]
        answers.append(await other.post(f"/v1/tasks/{tasks[1]['task_id']}/cancel"))
        other.cookies.clear()
        foreign = await other.post(f"/v1/tasks/{tasks[0]['task_id']}/cancel")
    assert [answer.status_code for answer in answers] == [202, 202]
    unknown = [await client.post(f"/v1/tasks/{each}/cancel") for each in ("0" * 32, "x", "A" * 32)]
    assert {(answer.status_code, answer.text) for answer in [*unknown, foreign]} == {(404, foreign.text)}
    written = await records_of(settings, settings.topics.cancellations)
    assert {decode_cancellation(each.key, each.value).task_id for each in written} == {
        task["task_id"] for task in tasks
    }


async def test_an_owner_over_their_rate_gets_429_with_a_time_to_come_back(settings: Settings) -> None:
    slow = settings.model_copy(update={"owner_burst_count": 2, "owner_rate_per_second": 0.1})
    async with serve(slow) as client:
        await wait_ready(client)
        answers = [await client.post("/v1/tasks", json=SUBMISSION) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        assert int(answers[-1].headers["retry-after"]) in range(1, 11)
    assert len(await requests_of(settings)) == 2


async def test_a_queue_that_the_workers_do_not_keep_up_with_closes_the_gate(settings: Settings) -> None:
    busy = settings.model_copy(
        update={"expected_task_seconds": 400.0, "worker_slot_count": 1, "kafka_check_seconds": 0.1}
    )
    async with serve(busy) as client:
        await wait_ready(client)
        assert (await client.post("/v1/tasks", json=SUBMISSION)).status_code == 202
        await commit_nothing(settings)
        answer = await ask_until(
            lambda: client.post("/v1/tasks", json=SUBMISSION), lambda answer: answer.status_code != 202
        )
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/queue-too-long")
    assert int(answer.headers["retry-after"]) > 0


async def commit_nothing(settings: Settings) -> None:
    """Be the workers' group, and commit the beginning of one partition."""
    partition = TopicPartition(settings.topics.requests.name, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=settings.workers_group, enable_auto_commit=False
    ) as workers:
        workers.assign([partition])
        await workers.commit({partition: 0})


async def test_topics_with_another_partition_count_are_not_written_to(settings: Settings) -> None:
    wrong = settings.model_copy(update={"partition_count": 5})
    async with serve(wrong) as client:
        await ask_until(lambda: client.get("/readyz"), lambda answer: "has 3 partitions, not 5" in answer.text)
        assert (await client.post("/v1/tasks", json=SUBMISSION)).status_code == 503
