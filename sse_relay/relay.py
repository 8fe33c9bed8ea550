"""The relay: all parts of one process, wired."""

from dataclasses import dataclass
from typing import Literal

from contracts.ticket import load_public_key
from sse_relay.archive import Archive
from sse_relay.authorisation import Authorisation
from sse_relay.drain import Drain
from sse_relay.errors import Overload
from sse_relay.heartbeat import Heartbeat
from sse_relay.hub import Hub
from sse_relay.metrics import Metrics
from sse_relay.scanner import KafkaScanner
from sse_relay.seats import Seats
from sse_relay.settings import Settings
from sse_relay.stream import Streams
from sse_relay.tally import Tally


@dataclass(frozen=True, slots=True)
class Relay:
    """What the routes need."""

    settings: Settings
    tally: Tally
    hub: Hub
    archive: Archive
    streams: Streams
    authorisation: Authorisation
    heartbeat: Heartbeat
    drain: Drain
    metrics: Metrics

    @property
    def status(self) -> Literal["ready", "catching_up", "draining"]:
        """Whether streams are wanted, and if not, why."""
        if self.drain.begun:
            return "draining"
        return "ready" if self.hub.caught_up else "catching_up"

    def refuse_when_draining(self) -> None:
        """Raise Overload when no new stream is wanted."""
        if self.drain.begun:
            raise Overload("draining")


def build_relay(settings: Settings) -> Relay:
    """Return the relay; nothing runs yet. Raises OSError or ValueError when the key cannot be used."""
    authorisation = Authorisation(load_public_key(settings.ticket_public_key_file.read_bytes()))
    tally = Tally()
    hub = Hub(
        settings.own_partitions,
        Seats(settings.max_streams, settings.max_streams_per_owner),
        tally,
        max_bytes=settings.history_bytes,
        max_task_bytes=settings.task_bytes,
    )
    archive = Archive(settings, hub, tally, KafkaScanner(settings))
    return Relay(
        settings=settings,
        tally=tally,
        hub=hub,
        archive=archive,
        streams=Streams(settings, hub, archive),
        authorisation=authorisation,
        heartbeat=Heartbeat(settings, hub),
        drain=Drain(settings, hub),
        metrics=Metrics(hub, tally),
    )
