"""Create the topics and check them: `python -m deploy.topics --bootstrap HOST:PORT`.

Idempotent. An existing topic with another partition count is an error, because a key would then find another
partition and a task's events would no longer be one order.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from contracts.topics import Topics

_ATTEMPT_COUNT = 40
_PAUSE_SECONDS = 0.25


class TopicsError(Exception):
    """The topics are not as they are declared; says which and how."""


async def ensure_topics(bootstrap: str, topics: Topics, *, replication_factor: int = 1) -> None:
    """Create what is missing and compare what is there; raise TopicsError when they differ."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await _wait_for_controller(admin)
        await _create(admin, topics, replication_factor)
        await _check(admin, topics)
    finally:
        await admin.close()


async def _wait_for_controller(admin: AIOKafkaAdminClient) -> None:
    """A broker that has just started may not know the controller yet, and the client fails on that; ten seconds."""
    for _ in range(_ATTEMPT_COUNT):
        cluster = await admin.describe_cluster()
        if cluster["controller_id"] in {broker["node_id"] for broker in cluster["brokers"]}:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TopicsError("Kafka has no controller yet: start again when the brokers are up")


async def _create(admin: AIOKafkaAdminClient, topics: Topics, replication_factor: int) -> None:
    in_sync = 2 if replication_factor >= 3 else 1
    wanted = [
        NewTopic(topic.name, topics.partition_count, replication_factor, topic_configs=topic.settings(in_sync))
        for topic in topics.all()
    ]
    with contextlib.suppress(TopicAlreadyExistsError):
        response = await admin.create_topics(wanted)
        for name, code, *_ in response.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise TopicsError(f"topic {name} could not be created: {for_code(code).__name__}")


async def _check(admin: AIOKafkaAdminClient, topics: Topics) -> None:
    """Ask again for ten seconds: a broker that has just learnt of a topic may know none of its partitions."""
    names = [topic.name for topic in topics.all()]
    counts: dict[str, int] = {}
    for _ in range(_ATTEMPT_COUNT):
        described = await admin.describe_topics(names)
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
        if all(counts.get(name) for name in names):
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    for name in names:
        if counts.get(name) != topics.partition_count:
            raise TopicsError(
                f"topic {name} has {counts.get(name, 'no')} partitions, not {topics.partition_count}: "
                f"set the partition count to what exists, or delete the topic when its records are not needed"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the init job; exit status 1 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m deploy.topics", description="Create and check the topics.")
    parser.add_argument("--bootstrap", required=True, help="HOST:PORT[,HOST:PORT…] of the brokers")
    parser.add_argument("--prefix", default="generation")
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--replication-factor", type=int, default=1)
    options = parser.parse_args(arguments)
    topics = Topics(options.prefix, options.partitions)
    try:
        asyncio.run(ensure_topics(options.bootstrap, topics, replication_factor=options.replication_factor))
    except (TopicsError, KafkaError) as error:
        print(f"topics: {error}", file=sys.stderr)
        return 1
    print(f"{len(topics.all())} topics with {topics.partition_count} partitions are ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
