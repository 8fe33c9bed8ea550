"""The agents: one, which hands each request to the dispatcher and acknowledges nothing itself."""

from typing import Any

from stream_processors.dispatcher import Delivery, Dispatcher


def add_agents(app: Any, requests_topic: str, dispatcher: Dispatcher) -> None:
    """Make a Faust app feed the dispatcher. Keys and values stay bytes: the handler decides what they are."""
    topic = app.topic(
        requests_topic,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )

    async def dispatch(stream: Any) -> None:
        async for event in stream.noack().events():
            dispatcher.offer(delivery_of(event.message))

    app.agent(topic, name="stream_processors.dispatch")(dispatch)


def delivery_of(message: Any) -> Delivery:
    """Return the delivery of a Faust message."""
    return Delivery(
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
        generation=message.generation_id,
    )
