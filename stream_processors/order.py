"""An order: everything one attempt at a task needs, in this process or in one of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from contracts.attempt import OUTSIDE, Attempt
from contracts.codec import Origin, Record
from contracts.commands import GenerationRequest
from contracts.cursor import Position
from contracts.dead_letter import DeadLetter
from contracts.events import TaskAccepted
from contracts.lifecycle import Progress, TaskState, reduce
from stream_processors.dispatcher import Known


class Recall(Protocol):
    """Looks at the log again once the new attempt has its place in it: whatever an earlier one writes later is void."""

    async def __call__(self, position: Position | None) -> Known | None:
        """Return what the log tells of the task up to a position, or up to now; None if it cannot be read.

        Raises TaskEnded.
        """


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt: the request, the task's state as its log tells it, who asks, and the signal to cancel.

    `draft_counts`: how often the drafting of each version has begun before (see `dispatcher.Known`). `recall` is there
    when an earlier attempt may still have written while the log was folded.
    """

    request: GenerationRequest
    known: TaskState
    attempt: Attempt
    origin: Origin
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    draft_counts: Mapping[int, int] = field(default_factory=dict)
    recall: Recall | None = None


def again(order: Order, known: Known) -> Order:
    """Return the order for another attempt, with what is known after the one before."""
    highest = max(order.attempt, known.highest)
    return replace(
        order,
        attempt=Attempt(highest.generation, highest.boot_ms + 1),
        known=with_plan(known.state, order.request),
        draft_counts=known.draft_counts,
    )


def with_plan(state: TaskState, request: GenerationRequest) -> TaskState:
    """Return a state that knows what was asked for, whatever of the log it was folded from."""
    accepted = TaskAccepted(
        task_id=request.task_id,
        attempt=OUTSIDE,
        sequence=0,
        edition=request.edition,
        school_level=request.school_level,
        item=request.item,
        versions=request.versions,
        limit=request.limit,
        accepted_at=request.accepted_at,
        start_deadline=request.start_deadline,
        end_deadline=request.end_deadline,
    )
    return replace(reduce(replace(state, progress=Progress()), accepted), progress=state.progress)


class Runner(Protocol):
    """Carries an order out."""

    async def __call__(self, order: Order) -> Position:
        """Return the place of the terminal event, acknowledged by Kafka."""


class Publisher(Protocol):
    """Writes events, and dead letters."""

    async def publish(self, record: Record) -> "asyncio.Future[Position]":
        """Wait for room and take the record; the future is Kafka's acknowledgement."""

    async def bury(
        self, letter: DeadLetter, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> Position:
        """Keep a record that could not be used, and return where."""


class WrittenOrder(BaseModel):
    """An order as it is handed to another process of the same release."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    request: GenerationRequest
    known: TaskState
    attempt: tuple[int, int]
    origin: Origin
    draft_counts: dict[int, int]
    recalls: bool

    @classmethod
    def of(cls, order: Order) -> "WrittenOrder":
        """Return what is handed over; the signal to cancel goes another way, and so does what is recalled."""
        return cls(
            request=order.request,
            known=order.known,
            attempt=(order.attempt.generation, order.attempt.boot_ms),
            origin=order.origin,
            draft_counts=dict(order.draft_counts),
            recalls=order.recall is not None,
        )

    def order(self, recall: Recall) -> Order:
        """Return the order; `recall` is how its process hears what the log told."""
        return Order(
            self.request,
            self.known,
            Attempt(*self.attempt),
            self.origin,
            draft_counts=self.draft_counts,
            recall=recall if self.recalls else None,
        )


class WrittenKnown(BaseModel):
    """What the log told of a task up to a new attempt's place, as it is handed to the attempt's process."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    state: TaskState
    draft_counts: dict[int, int]

    @classmethod
    def of(cls, known: Known) -> "WrittenKnown":
        """Return what is handed over."""
        return cls(state=known.state, draft_counts=dict(known.draft_counts))

    def known(self) -> Known:
        """Return what is known."""
        return Known(self.state, draft_counts=self.draft_counts)
