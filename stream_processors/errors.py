"""The errors of this package.

ProcessorError
├── ModelError        a model call that brought no usable answer; `reason` is of the closed set
├── Unreadable        an answer of a model that is not read to its end
├── GivenUp           a version that cannot be written; `reason` tells the teacher why
├── EmitterEnded      an event after the terminal event, or after the emitter was abandoned
├── NotAcknowledged   Kafka did not acknowledge a record
├── TaskEnded         a task that somebody else has ended meanwhile
├── ChildDied         a child process ended, or had to be ended, without its task's terminal event
├── ChildNotStarted   a child process did not come up
├── GroupLost         the worker is no member of its group any more, and will not become one by itself
└── LogStalled        Kafka did not hand out records that it says it has
"""

from contracts.events import Reason
from stream_processors.dispatcher import Known

NEVER_RETRIED = frozenset(
    {Reason.QUOTA_EXHAUSTED, Reason.UNAUTHORISED, Reason.REFUSED, Reason.INVALID_REQUEST},
)


class ProcessorError(Exception):
    """Base of all errors of this package."""


class ModelError(ProcessorError):
    """A model call that brought no usable answer.

    `detail` is one of our own words for the log, never anything that the other side said. The token counts are those
    that the other side told, if it did.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        retryable: bool | None = None,
        retry_after_seconds: float | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        request_id: str = "",
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retryable = reason not in NEVER_RETRIED if retryable is None else retryable
        self.retry_after_seconds = retry_after_seconds
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.request_id = request_id


class Unreadable(ProcessorError):
    """An answer that is not read to its end, because it is too large or compressed; the message is one of ours."""


class GivenUp(ProcessorError):
    """A version that cannot be written."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class EmitterEnded(ProcessorError):
    """An event that came after the end of its attempt."""


class NotAcknowledged(ProcessorError):
    """A record whose acknowledgement will never come."""


class TaskEnded(ProcessorError):
    """A task whose terminal event somebody else has written; there is nothing left to do."""


class ChildDied(ProcessorError):
    """A child process that ended without a terminal event; `known` is what its task had come to."""

    def __init__(self, exit_status: int | None, known: Known) -> None:
        super().__init__(f"exit status {exit_status}")
        self.exit_status = exit_status
        self.known = known


class ChildNotStarted(ProcessorError):
    """A child process that never said that it is there."""


class GroupLost(ProcessorError):
    """A worker that Kafka gives no more work; the message is one of ours."""


class LogStalled(ProcessorError):
    """A range of a partition that could not be read in time."""
