"""What the API's publisher uses of aiokafka beside its public methods, to drop what a producer still holds."""

import inspect

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import Sender


async def test_a_producer_has_a_sender_and_an_accumulator_that_can_be_ended() -> None:
    producer = AIOKafkaProducer(enable_idempotence=True, acks="all")
    try:
        assert isinstance(producer._sender, Sender)
        assert isinstance(producer._message_accumulator, MessageAccumulator)
        assert inspect.iscoroutinefunction(producer._sender.close)
        assert list(inspect.signature(producer._message_accumulator.fail_all).parameters) == ["exception"]
    finally:
        await producer.stop()
