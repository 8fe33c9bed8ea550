"""The dead letters' command, on a real broker."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.codec import Record, RequestHeader, encode_request
from contracts.cursor import Position
from contracts.dead_letter import DeadLetter, encode_dead_letter
from stream_processors.dead_letters import main
from tests.support.worker import ORIGIN, KafkaClient, a_request, kafka_client

HEADER = RequestHeader("digest", Position(0, 0))
HEADERS = [("owner", b"teacher"), ("binary", b"\xff")]


@pytest.fixture
async def client(kafka: str, topic_prefix: str) -> AsyncIterator[KafkaClient]:
    async with kafka_client(kafka, topic_prefix, partition_count=2) as client:
        yield client


async def run(client: KafkaClient, *arguments: str) -> int:
    place = ["--bootstrap", client.bootstrap, "--prefix", client.topics.prefix, "--partitions", "2"]
    return await asyncio.to_thread(main, [*place, *arguments])


async def bury(client: KafkaClient, key: bytes | None, value: bytes | None, topic: str = "") -> Position:
    letter = DeadLetter("malformed_record: value: missing", topic or client.topics.requests.name, Position(1, 42))
    record: Record = encode_dead_letter(letter, key, value, HEADERS)
    return await client.write(client.topics.dead_letters.name, record)


async def test_the_list_names_reason_and_origin_and_no_words(
    client: KafkaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    at = await bury(client, b"key", "비밀".encode())
    assert await run(client, "list") == 0
    shown = capsys.readouterr().out
    assert f"{at}  {client.topics.requests.name} 1-42  key  malformed_record: value: missing" in shown
    assert "비밀" not in shown


async def test_only_the_newest_are_listed(client: KafkaClient, capsys: pytest.CaptureFixture[str]) -> None:
    positions = [await bury(client, b"same key", b"%d" % number) for number in range(30)]
    assert await run(client, "list", "--count", "5") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [str(position) for position in positions[-5:]]


async def test_a_value_is_shown_only_when_it_is_asked_for(
    client: KafkaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    at = await bury(client, b"key", "비밀".encode())
    assert await run(client, "show", str(at)) == 0
    assert "비밀" not in capsys.readouterr().out
    assert await run(client, "show", str(at), "--value") == 0
    assert "비밀" in capsys.readouterr().out


@pytest.mark.parametrize(("key", "value"), [(b"key", b"\xffbytes"), (b"key", None), (None, b"no key"), (b"", b"")])
async def test_what_is_sent_back_is_what_it_was(client: KafkaClient, key: bytes | None, value: bytes | None) -> None:
    at = await bury(client, key, value)
    assert await run(client, "resend", str(at)) == 0
    (record,) = await client.read_all(client.topics.requests.name)
    assert (record.key, record.value, list(record.headers)) == (key, value, HEADERS)


async def test_a_request_is_sent_back_only_as_long_as_its_task_may_run(
    client: KafkaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    in_time, over = (encode_request(a_request(end_seconds=left), ORIGIN, HEADER) for left in (60, -1))
    assert await run(client, "resend", str(await bury(client, over.key, over.value))) == 1
    assert "time is over" in capsys.readouterr().err
    assert await run(client, "resend", str(await bury(client, in_time.key, in_time.value))) == 0
    assert [record.key for record in await client.read_all(client.topics.requests.name)] == [in_time.key]


async def test_what_cannot_be_done_is_one_sentence(client: KafkaClient, capsys: pytest.CaptureFixture[str]) -> None:
    at = await bury(client, b"key", b"value", topic="somebody.elses")
    for arguments in (["resend", str(at)], ["show", "0-99999"], ["show", "nonsense"]):
        assert await run(client, *arguments) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
