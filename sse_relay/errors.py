"""Every error of the relay.

RelayError
├── Refusal                 an answer that is not a stream; each knows its status
│   ├── BadRequest          400  a header or parameter that is there twice
│   ├── BadCursor           400  not a cursor, or one of another task
│   ├── WrongPartition      400  the URL names no partition, or another one than the ticket
│   ├── TicketRefused       401  none, or not one of ours for this use
│   ├── TicketOutdated      401  was good once: fetch a new one
│   ├── UnknownTask         404  not there, or not for this ticket: both alike
│   ├── TaskGone            410  older than the topic's retention
│   ├── OtherShard          421  another relay has this partition
│   ├── PartitionNeeded     421  this relay has a part, and the URL does not say which one is wanted
│   └── NotCaughtUp         503  a snapshot cannot be had yet
├── Overload                no room, or too far behind: told on the stream, because EventSource gives up on a 503
└── TopicUnusable           the topic is not there, or not as it is declared
"""


class RelayError(Exception):
    """Base of all errors of this package."""


class Refusal(RelayError):
    """An answer that is not a stream: status, a stable slug for the problem's type, and a sentence for people."""

    status = 500
    slug = "internal"
    title = "Internal error"
    headers: dict[str, str] = {}  # noqa: RUF012 - read only, and overridden by the classes below


class BadRequest(Refusal):
    """A header or parameter that is there twice, so that nobody can say which one counts."""

    status, slug, title = 400, "repeated-parameter", "A header or parameter is repeated"


class BadCursor(Refusal):
    """Not a cursor, or one that names a record of something else."""

    status, slug, title = 400, "bad-cursor", "The cursor does not belong to this stream"


class WrongPartition(Refusal):
    """A URL's partition that is none, or not the one that the ticket begins in."""

    status, slug, title = 400, "wrong-partition", "The URL names a partition that does not fit"


class TicketRefused(Refusal):
    """No ticket, or not one of ours for this use."""

    status, slug, title = 401, "ticket-invalid", "A valid ticket is needed"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - read only


class TicketOutdated(Refusal):
    """A ticket that was good once."""

    status, slug, title = 401, "ticket-expired", "The ticket has expired: fetch a new one"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # noqa: RUF012 - read only


class UnknownTask(Refusal):
    """No such task, or none that this ticket may read: both answer alike."""

    status, slug, title = 404, "unknown-task", "There is no such task for this ticket"


class TaskGone(Refusal):
    """The task's records are older than the topic's retention."""

    status, slug, title = 410, "task-gone", "The task is older than what is kept"


class OtherShard(Refusal):
    """This relay does not own the task's partition."""

    status, slug, title = 421, "other-shard", "Another relay owns this task's partition"


class PartitionNeeded(Refusal):
    """This relay has only some partitions, so it cannot tell what it does not have from what there is not."""

    status, slug, title = 421, "partition-needed", "This address has parts: the URL must name a partition"


class NotCaughtUp(Refusal):
    """The relay has not read far enough to answer."""

    status, slug, title = 503, "not-caught-up", "The relay is still reading: try again"
    headers = {"Retry-After": "2"}  # noqa: RUF012 - read only


class Overload(RelayError):
    """No room for one more: `reason` is what the client is told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TopicUnusable(RelayError):
    """The topic is not there, or has another number of partitions than is set."""
