"""A worker while its broker is killed, restarted and gone: it waits, and every request comes to one end."""

import asyncio
from pathlib import Path

import pytest

from contracts.lifecycle import Stage
from contracts.topics import Topics
from deploy.local.broker import Broker
from tests.support.worker import Log, fleet, kafka_client

SLOW = "[[pieces=20 pause=0.2]]"


@pytest.mark.parametrize("how", ["killed", "stopped"])
@pytest.mark.timeout(240)
async def test_a_broker_that_comes_back_finds_its_worker_going_on(how: str, broker: Broker, tmp_path: Path) -> None:
    async with kafka_client(broker.bootstrap, "generation") as client:
        with fleet(broker.bootstrap, Topics("generation", 4), tmp_path) as workers:
            worker = workers.worker()
            tasks = await client.submit_all([SLOW] * 8)

            def has_begun(log: Log) -> bool:
                return all(log.state(task).started for task in tasks)

            await client.log_when(has_begun)
            if how == "killed":
                broker.kill()
                broker.start(timeout_seconds=60)
            else:
                broker.restart()
            log = await client.log_when_ended(*tasks, timeout_seconds=90)
            for task in tasks:
                assert log.state(task).stage is Stage.SUCCEEDED
                assert log.terminal_count(task) == 1
                assert log.state(task).progress.hole_count == 0
            later = await client.submit_all(["later"] * 4)
            await client.log_when_ended(*later, timeout_seconds=60)
            await client.caught_up(60)
            assert worker.process.poll() is None
            assert len(worker.log.splitlines()) < 300
            assert await asyncio.to_thread(worker.terminate) == 0
