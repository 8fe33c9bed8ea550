"""Reachability: wait for brokers that are not there yet, and say so in one sentence."""

import asyncio
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 2.0
_ANSWER_SECONDS = 10.0

log = structlog.get_logger(__name__)


async def kafka_answers(bootstrap: str) -> bool:
    """Tell whether the brokers answer a new client within ten seconds."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await producer.start()
    except (KafkaError, OSError, TimeoutError):
        return False
    else:
        return True
    finally:
        await producer.stop()


async def wait_for_kafka(bootstrap: str, ending: asyncio.Event) -> bool:
    """Try until the brokers answer; False when asked to end before. The clients' own start gives up at once."""
    pause = _FIRST_PAUSE_SECONDS
    while not ending.is_set():
        if await kafka_answers(bootstrap):
            return True
        log.warning("kafka.unreachable", bootstrap=bootstrap, next_try_seconds=pause)
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    return False
