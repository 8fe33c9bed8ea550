"""The bodies of the answers, as docs/PROTOCOL.md describes them."""

from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from contracts.commands import Instant, Limit, VersionPlan
from contracts.task import OwnerId
from contracts.ticket import Ticket, sign_ticket
from contracts.topics import Topics
from producer_api.accepted_task import AcceptedTask


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class TaskLinks(_Answer):
    """Where a task is; no link holds a ticket."""

    events: str = Field(description="The task's event stream, on the relay.")
    snapshot: str = Field(description="The task's state as JSON, on the relay.")
    cancel: str = Field(description="POST here to cancel.")


class TaskAnswer(_Answer):
    """What the caller of a submission is told; Kafka has the request."""

    task_id: str = Field(description="32 lower-case hexadecimal digits.")
    stage: str = Field(description="Always `queued`: the stream tells how it goes on.")
    accepted_at: Instant
    start_deadline: Instant = Field(description="The task expires if it has not started by then.")
    end_deadline: Instant = Field(description="The task expires if it has not ended by then.")
    resumable_until: Instant = Field(description="The stream can be resumed at least until then.")
    limit: Limit
    versions: tuple[VersionPlan, ...]
    simulated: bool = Field(description="Whether texts come from a simulator.")
    ticket: str = Field(description="The right to read this task, for the relay.")
    ticket_expires_at: Instant
    links: TaskLinks


class OwnerLinks(_Answer):
    """Where everything of one owner is."""

    events: str = Field(description="The owner's event stream, on the relay.")


class TicketAnswer(_Answer):
    """The right to read everything of the caller."""

    ticket: str
    ticket_expires_at: Instant
    links: OwnerLinks


class CancellationAnswer(_Answer):
    """Kafka has the cancellation; the stream tells when it has taken effect."""

    task_id: str


class Answers:
    """Makes the answers: signs tickets and knows the addresses."""

    def __init__(
        self, key: Ed25519PrivateKey, topics: Topics, ticket_ttl_seconds: int, relay_url: str, *, simulated: bool
    ) -> None:
        self._key = key
        self._retention = timedelta(milliseconds=topics.events.retention_ms)
        self._ttl = timedelta(seconds=ticket_ttl_seconds)
        self._relay_url = relay_url
        self._simulated = simulated

    def task(self, task: AcceptedTask, api_url: str, now: datetime) -> TaskAnswer:
        """Answer a submission; a repetition gets the same bytes, until its ticket is half used up."""
        issued_at = task.accepted_at if now < task.accepted_at + self._ttl / 2 else now
        expires_at = issued_at + self._ttl
        ticket = Ticket(task.owner, expires_at, task.task_id, task.start)
        # A gateway cannot look into a ticket.
        at_relay = f"{self._relay_url}/v1/partitions/{task.start.partition}/tasks/{task.task_id}"
        return TaskAnswer(
            task_id=task.task_id,
            stage="queued",
            accepted_at=task.accepted_at,
            start_deadline=task.start_deadline,
            end_deadline=task.end_deadline,
            resumable_until=task.accepted_at + self._retention,
            limit=task.limit,
            versions=task.versions,
            simulated=self._simulated,
            ticket=sign_ticket(ticket, self._key, now=issued_at),
            ticket_expires_at=expires_at.replace(microsecond=0),
            links=TaskLinks(
                events=f"{at_relay}/events",
                snapshot=at_relay,
                cancel=f"{api_url}/v1/tasks/{task.task_id}/cancel",
            ),
        )

    def ticket(self, owner: OwnerId, now: datetime) -> TicketAnswer:
        """Answer a request for the owner's ticket."""
        expires_at = (now + self._ttl).replace(microsecond=0)
        return TicketAnswer(
            ticket=sign_ticket(Ticket(owner, expires_at), self._key, now=now),
            ticket_expires_at=expires_at,
            links=OwnerLinks(events=f"{self._relay_url}/v1/events"),
        )
