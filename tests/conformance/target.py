"""What is tested: where it listens, what it reads, and what the one who runs the suite knows of it."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts.topics import Topics
from tests.conformance.event_writer import EventWriter
from tests.conformance.ticket_forge import TicketForge
from tests.support.relay import RelayProcess

DEFAULT_WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; `relay_url` is empty when our own relay is to be started."""

    relay_url: str
    second_relay_url: str
    kafka: str
    ticket_key: str
    topic_prefix: str
    partition_count: int
    heartbeat_seconds: float
    streams_per_owner: int
    allowed_origin: str
    opaque_cursors: bool

    @classmethod
    def of(cls, config: pytest.Config) -> "Options":
        """Return the options; each has its default when this folder was not named on the command line."""
        get = config.getoption
        return cls(
            relay_url=get("--relay-url", default="").rstrip("/"),
            second_relay_url=get("--second-relay-url", default="").rstrip("/"),
            kafka=get("--kafka", default=""),
            ticket_key=get("--ticket-key", default=""),
            topic_prefix=get("--topic-prefix", default="generation"),
            partition_count=get("--partition-count", default=12),
            heartbeat_seconds=get("--heartbeat-seconds", default=DEFAULT_WAIT_SECONDS),
            streams_per_owner=get("--streams-per-owner", default=0),
            allowed_origin=get("--allowed-origin", default=""),
            opaque_cursors=get("--opaque-cursors", default=False),
        )

    def problem(self) -> str:
        """Return what is missing to test another relay, or an empty text."""
        if not self.relay_url:
            return ""
        needed = {"--kafka": self.kafka, "--ticket-key": self.ticket_key}
        missing = [name for name, value in needed.items() if not value]
        if missing:
            return f"--relay-url needs {' and '.join(missing)} as well"
        return "" if Path(self.ticket_key).is_file() else f"--ticket-key: there is no file {self.ticket_key}"

    def lacks(self, option: str) -> bool:
        """Tell whether a test that needs an option has to be left out; with our own relay none is."""
        if not self.relay_url:
            return False
        given = {
            "--second-relay-url": bool(self.second_relay_url),
            "--streams-per-owner": bool(self.streams_per_owner),
            "--allowed-origin": bool(self.allowed_origin),
            "cursors that are positions (no --opaque-cursors)": not self.opaque_cursors,
            "our own relay (no --relay-url)": False,
        }
        return not given[option]


@dataclass(slots=True)
class Target:
    """The relay, or two of them, that are held to the protocol."""

    url: str
    second_url: str
    topics: Topics
    writer: EventWriter
    tickets: TicketForge
    heartbeat_seconds: float
    streams_per_owner: int
    allowed_origin: str
    own: list[RelayProcess] = field(default_factory=list)
    """Our own processes, when it is our own relay: first, second."""
