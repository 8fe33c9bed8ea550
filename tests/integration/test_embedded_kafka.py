"""The local broker against what can happen to it."""

import asyncio
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.broker import Broker
from deploy.local.errors import BrokerDied, DataInUse, NetworkUnreachable, PortTaken
from deploy.local.java import find_java
from deploy.local.kafka_install import Installation, install, is_complete
from deploy.local.kafka_lock import LOCK, Pin, parse_lock, sha256_of
from deploy.local.ports import is_free

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


async def test_a_paused_broker_answers_nobody_and_goes_on_when_resumed(broker: Broker) -> None:
    await create(broker.bootstrap, "numbers")
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait("numbers", RECORDS[0])
        broker.pause()
        held = await producer.send("numbers", RECORDS[1])
        done, _ = await asyncio.wait([held], timeout=1)
        assert not done
        broker.resume()
        await asyncio.wait_for(held, 20)
    assert await consume(broker.bootstrap, "numbers", 2) == RECORDS[:2]


def test_a_second_start_on_the_same_data_is_refused_and_the_first_goes_on(broker: Broker) -> None:
    pid = broker.pid
    with pytest.raises(DataInUse, match=f"process {os.getpid()}"):
        Broker(broker.data).start()
    broker.wait_ready(5)
    assert broker.pid == pid


def test_a_taken_port_is_refused_before_anything_is_written(broker: Broker, tmp_path: Path) -> None:
    data = tmp_path / "second"
    with pytest.raises(PortTaken, match=f"{broker.port}.*KAFKA_PORT"):
        Broker(data, port=broker.port, port_setting="KAFKA_PORT").start()
    assert not (data / "records").exists()
    with Broker(data) as second:  # the failed start gave the directory back
        assert second.port != broker.port


def test_a_broker_with_settings_that_kafka_refuses_reports_why(tmp_path: Path) -> None:
    broken = Broker(tmp_path, properties={"log.retention.bytes": "many"})
    with pytest.raises(BrokerDied, match=r"log\.retention\.bytes"):
        broken.start()
    assert broken.pid is None


def test_a_broker_out_of_memory_ends_instead_of_limping(tmp_path: Path) -> None:
    with pytest.raises(BrokerDied):
        Broker(tmp_path, heap_mb=16).start()


def test_a_killed_parent_takes_its_broker_along_and_the_data_can_be_used_at_once(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from deploy.local.broker import Broker

        with Broker(Path(sys.argv[1])) as broker:
            print(broker.pid, flush=True)
            broker.wait()
        """
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        watch = os.pidfd_open(int(parent.stdout.readline()))
        try:
            assert not select.select([watch], [], [], 0)[0]
            parent.kill()
            assert select.select([watch], [], [], 10)[0], "the broker is still there"
        finally:
            os.close(watch)
    with Broker(tmp_path) as next_one:
        assert next_one.pid is not None


@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_command_runs_a_broker_until_it_is_told_to_stop(asked_by: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.broker", "--data", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().partition(":")
        socket.create_connection((host, int(port)), 5).close()
        process.send_signal(asked_by)
        assert process.wait(30) == 0
    assert is_free(int(port))


def test_the_command_explains_a_taken_port_in_one_sentence(broker: Broker, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.broker", "--data", str(tmp_path / "x"), "--port", str(broker.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{PortTaken(broker.port, '--port')}\n"


def kill_install(cache: Path, when: str) -> None:
    """Run an install that gets its jars from the real cache and is killed (SIGKILL) at a step."""
    script = textwrap.dedent(
        """
        import os, shutil, signal, sys
        from pathlib import Path
        from deploy.local.kafka_install import install

        source = install().home / "lib"

        def fetch(pin, target):
            shutil.copy(source / pin.jar, target)

        def progress(what, done, total):
            if f"{what} {done}" == sys.argv[2]:
                os.kill(os.getpid(), signal.SIGKILL)

        install(progress, cache=Path(sys.argv[1]), fetch=fetch)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(cache), when], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def test_an_install_that_is_killed_at_any_step_is_finished_by_the_next(tmp_path: Path) -> None:
    source, pins = install().home / "lib", parse_lock(LOCK.read_text())
    for step in ("jars 20", "format 0", "training 0"):
        kill_install(tmp_path, step)
        (home,) = (tmp_path / "kafka").iterdir()
        jars = tuple(home / "lib" / pin.jar for pin in pins)
        assert not is_complete(Installation(home, find_java(), jars), pins)
        # A file under a jar's name is whole, whenever the kill came.
        assert all(sha256_of(jar) == pin.sha256 for pin, jar in zip(pins, jars, strict=True) if jar.exists())

    def fetch(pin: Pin, target: Path) -> None:
        shutil.copy(source / pin.jar, target)

    steps: list[str] = []
    found = install(lambda what, done, total: steps.append(what), cache=tmp_path, fetch=fetch)
    assert steps[-1] == "training"
    assert found.ahead_of_time_cache.exists()
    with Broker(tmp_path / "data", installation=found) as broker:
        assert broker.pid is not None

    def offline(pin: Pin, target: Path) -> None:
        raise NetworkUnreachable(pin.coordinate)

    steps.clear()
    assert install(lambda what, done, total: steps.append(what), cache=tmp_path, fetch=offline) == found
    assert steps == []
