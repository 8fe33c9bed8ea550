"""Dead letters: look at them, and send one back. `python -m stream_processors.dead_letters list|show|resend`.

Reading is bounded to the newest so many of each partition. Values hold notes: they are shown only with `--value`.
"""

import argparse
import asyncio
import base64
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.codec import decode_request, read_request_header
from contracts.cursor import Position, parse_position
from contracts.errors import CursorError, RecordError
from contracts.topics import Topics
from stream_processors.errors import LogStalled, TaskEnded
from stream_processors.historian import recall_task
from stream_processors.log_reader import LogReader, LogRecord

_PREFIX = "dead_letter_"


@dataclass(frozen=True, slots=True)
class Buried:
    """One dead letter: where it is, what it was, and why it is here."""

    position: Position
    reason: str
    topic: str
    origin: str
    key: bytes | None
    value: bytes | None = field(repr=False)
    headers: list[tuple[str, bytes]] = field(repr=False)

    @classmethod
    def of(cls, partition: int, record: LogRecord) -> "Buried":
        """Return the dead letter of a record."""
        own = {
            name.removeprefix(_PREFIX): value.decode("utf-8", "replace")
            for name, value in record.headers
            if name.startswith(_PREFIX)
        }
        return cls(
            Position(partition, record.offset),
            own.get("reason", ""),
            own.get("topic", ""),
            f"{own.get('partition', '?')}-{own.get('offset', '?')}",
            None if own.get("null_key") == "true" else record.key,
            None if own.get("null_value") == "true" else record.value,
            [(name, value) for name, value in record.headers if not name.startswith(_PREFIX)],
        )

    def line(self) -> str:
        """Return what a list shows of it."""
        key = (self.key or b"-").decode("ascii", "backslashreplace")[:64]
        return f"{self.position}  {self.topic} {self.origin}  {key}  {self.reason}"


class DeadLetters:
    """Reads the dead letters and sends them back."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._reader = LogReader(bootstrap)

    async def newest(self, count: int) -> list[Buried]:
        """Return the newest of each partition, at most `count` of each."""
        found: list[Buried] = []
        for partition in range(self._topics.partition_count):
            newest: deque[Buried] = deque(maxlen=count)
            async with aclosing(self._reader.read_last(self._topics.dead_letters.name, partition, count)) as batches:
                async for batch in batches:
                    newest.extend(Buried.of(partition, record) for record in batch)
            found.extend(newest)
        return found

    async def at(self, position: Position) -> Buried | None:
        """Return the dead letter at a position; None when there is none."""
        record = await self._reader.read_one(self._topics.dead_letters.name, position.partition, position.offset)
        return None if record is None else Buried.of(position.partition, record)

    async def resend(self, letter: Buried) -> Position:
        """Write the original record to the topic it came from, and return where it is now.

        Raises ValueError for a letter of another installation, and for a request whose time is over or whose task has
        ended: nobody would run it, and how long its end is remembered is bounded.
        """
        if letter.topic not in {topic.name for topic in self._topics.all()}:
            raise ValueError("the letter does not come from a topic of this installation")
        if letter.topic == self._topics.requests.name and _is_over(letter, datetime.now(UTC)):
            raise ValueError("the request's time is over, and its task has ended: submit the notes again")
        if letter.topic == self._topics.requests.name and await self._has_ended(letter):
            raise ValueError("the request's task has ended: submit the notes again")
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True) as producer:
            sent = await producer.send_and_wait(letter.topic, letter.value, key=letter.key, headers=letter.headers)
            return Position(sent.partition, sent.offset)

    async def _has_ended(self, letter: Buried) -> bool:
        try:
            start = read_request_header(letter.headers).start
        except RecordError:
            return False
        try:
            await recall_task(self._reader, self._topics, letter.key or b"", start)
        except TaskEnded:
            return True
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit status 1 with one sentence when it cannot be done."""
    options = _parser().parse_args(arguments)
    letters = DeadLetters(options.bootstrap, Topics(options.prefix, options.partitions))
    try:
        return asyncio.run(_run(letters, options))
    except (KafkaError, LogStalled, CursorError, ValueError) as error:
        sys.stderr.write(f"dead_letters: {error}\n")
        return 1


async def _run(letters: DeadLetters, options: argparse.Namespace) -> int:
    if options.command == "list":
        sys.stdout.writelines(f"{letter.line()}\n" for letter in await letters.newest(options.count))
        return 0
    if (letter := await letters.at(parse_position(options.position))) is None:
        sys.stderr.write("dead_letters: no dead letter is there\n")
        return 1
    if options.command == "show":
        sys.stdout.write(_describe(letter, with_value=options.value))
    else:
        sys.stdout.write(f"sent to {letter.topic} {await letters.resend(letter)}\n")
    return 0


def _is_over(letter: Buried, now: datetime) -> bool:
    try:
        return decode_request(letter.key, letter.value).end_deadline < now
    except RecordError:
        return False  # what no worker can read begins no task


def _describe(letter: Buried, *, with_value: bool) -> str:
    facts: Mapping[str, object] = {
        "position": letter.position,
        "reason": letter.reason,
        "topic": letter.topic,
        "origin": letter.origin,
        "key": letter.key,
        "value": f"{len(letter.value)} bytes" if letter.value is not None else None,
        "headers": ", ".join(f"{name} ({len(value)} bytes)" for name, value in letter.headers),
    }
    lines = [f"{name}: {fact}" for name, fact in facts.items()]
    if with_value and letter.value is not None:
        lines.append(_readable(letter.value))
    return "\n".join(lines) + "\n"


def _readable(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"base64 {base64.b64encode(value).decode()}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stream_processors.dead_letters", description="Dead letters.")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="HOST:PORT[,HOST:PORT…] of the brokers")
    parser.add_argument("--prefix", default="generation")
    parser.add_argument("--partitions", type=int, default=12)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the newest of each partition")
    listing.add_argument("--count", type=int, default=20)
    show = commands.add_parser("show", help="one, without what is in it")
    show.add_argument("position", help="PARTITION-OFFSET in the dead letters")
    show.add_argument("--value", action="store_true", help="also what is in it: notes are private")
    resend = commands.add_parser("resend", help="send one back to the topic it came from")
    resend.add_argument("position", help="PARTITION-OFFSET in the dead letters")
    return parser


if __name__ == "__main__":
    sys.exit(main())
