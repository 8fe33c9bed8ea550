"""A generation with everything around it in memory: one builder for the tests of the use case."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.attempt import Attempt
from contracts.codec import Origin
from contracts.commands import GenerationRequest, Limit, VersionPlan
from contracts.cursor import Position
from contracts.events import Terminal
from contracts.lifecycle import TaskState
from contracts.task import OwnerId, TaskId
from stream_processors.breaker import Breaker
from stream_processors.emitter import Emitter
from stream_processors.execution import execute
from stream_processors.limiter import Limiter, Limits
from stream_processors.model import Model
from stream_processors.order import Recall
from stream_processors.retry import RetryPolicy
from stream_processors.revision import RevisionPolicy
from stream_processors.services import Services
from stream_processors.takeover import PartitionFold
from student_records.edition import edition_of
from student_records.items import Item
from student_records.viewpoints import viewpoints_for
from tests.support.clock import VirtualClock, at
from tests.support.fake_model import FakeModel
from tests.support.memory_publisher import MemoryPublisher

TASK_ID = TaskId("0123456789abcdef0123456789abcdef")
EDITION = "2026.1"
ORIGIN = Origin(OwnerId("owner"), "test")


def a_request(
    *,
    version_count: int = 3,
    start_seconds: float = 300,
    end_seconds: float = 600,
    limit_bytes: int = 1500,
    task_id: TaskId = TASK_ID,
    edition: str = EDITION,
    item: str = "subject",
    notes: str = "모둠에서 자료를 모아 표로 정리하고 친구들에게 설명함.",
) -> GenerationRequest:
    """Return a request of virtual time's first moment."""
    viewpoints = viewpoints_for(edition_of(EDITION), Item.SUBJECT, version_count)
    return GenerationRequest(
        task_id=task_id,
        edition=edition,
        school_level="high",
        item=item,
        notes=notes,
        versions=tuple(
            VersionPlan(version=number, viewpoint=viewpoint.id, title=viewpoint.title)
            for number, viewpoint in enumerate(viewpoints, start=1)
        ),
        limit=Limit(characters=limit_bytes // 3, bytes=limit_bytes),
        accepted_at=at(0),
        start_deadline=at(start_seconds),
        end_deadline=at(end_seconds),
    )


@dataclass
class Generation:
    """One or more attempts at one task, on one log; to be used inside a running loop."""

    model: Model = field(default_factory=FakeModel)
    request: GenerationRequest = field(default_factory=a_request)
    publisher: MemoryPublisher = field(default_factory=lambda: MemoryPublisher(seconds=0))
    limits: Limits = field(default_factory=Limits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    revision: RevisionPolicy = field(default_factory=RevisionPolicy)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    attempt_count: int = 0
    recall: Recall | None = None

    def __post_init__(self) -> None:
        self.services = Services(
            model=self.model,
            limiter=Limiter(self.limits),
            breaker=Breaker(),
            retry=self.retry,
            revision=self.revision,
            clock=VirtualClock(),
        )

    @property
    def state(self) -> TaskState:
        """The task as a reader of the log sees it."""
        return self.publisher.state(self.request.task_id)

    @property
    def draft_counts(self) -> Mapping[int, int]:
        """How often the drafting of each version has begun, as the next worker finds it in the log."""
        fold = PartitionFold()
        for record in self.publisher.records:
            fold.add(record.key, record.value, record.headers)
        known = fold.history().known.get(self.request.task_id.encode())
        return known.draft_counts if known else {}

    @property
    def terminal(self) -> Terminal:
        """The one terminal event."""
        (terminal,) = [event for event in self.publisher.events if event.terminal]
        assert terminal is self.publisher.events[-1] or terminal == self.publisher.events[-1]
        return terminal  # type: ignore[return-value]  # only terminal events are terminal

    def begin(self) -> "asyncio.Task[Position]":
        """Begin another attempt, with what the log tells so far."""
        self.attempt_count += 1
        emitter = Emitter(self.publisher, self.request.task_id, Attempt(self.attempt_count, 1), ORIGIN)
        return asyncio.create_task(
            execute(
                self.request,
                self.state,
                emitter,
                self.services,
                cancelled=self.cancelled,
                draft_counts=self.draft_counts,
                recall=self.recall,
            ),
            name="execution",
        )

    async def run(self) -> Position:
        """Make an attempt from its start to its end."""
        return await self.begin()
