"""The reaper: how a task ends whose deadline nobody kept. Told from outside, as nobody's attempt."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from contracts.attempt import OUTSIDE
from contracts.codec import decode_event
from contracts.errors import RecordError
from contracts.events import Reason, TaskExpired, TaskSucceeded, VersionOutcome, VersionStatus
from contracts.lifecycle import TaskState, reduce
from contracts.task import OwnerId, TaskId
from stream_processors.ending import completed_count, settled_outcomes, total_usage
from stream_processors.log_reader import LogReader
from stream_processors.model_calls import discarded
from stream_processors.takeover import count_draft


@dataclass(frozen=True, slots=True)
class Overdue:
    """An open task behind its deadline, and the offset of its acceptance."""

    task_id: TaskId
    owner: OwnerId
    offset: int
    started: bool


@dataclass(frozen=True, slots=True)
class Course:
    """What the log tells of an overdue task: its state, and how often the drafting of each version has begun."""

    state: TaskState
    draft_counts: Mapping[int, int] = field(default_factory=dict)


def conclude(course: Course, now: datetime) -> TaskSucceeded | TaskExpired:
    """Return the terminal event of a task that nobody ended: a success if a version was completed in time.

    What a worker would have said at the deadline: versions that are not settled have failed for it.
    """
    state = course.state
    settled = settled_outcomes(state)
    outcomes = tuple(
        settled.get(version.version)
        or VersionOutcome(
            version=version.version,
            viewpoint=version.viewpoint,
            status=VersionStatus.FAILED,
            text=version.text,
            reason=Reason.DEADLINE,
            usage=discarded(course.draft_counts.get(version.version, 0)),
        )
        for version in (state.versions if state.started else ())
    )
    usage, count = total_usage(outcomes), completed_count(outcomes)
    if count:
        return TaskSucceeded(
            task_id=state.task_id,
            attempt=OUTSIDE,
            sequence=1,
            degraded=count < len(outcomes),
            versions=outcomes,
            usage=usage,
            ended_at=now,
        )
    return TaskExpired(
        task_id=state.task_id,
        attempt=OUTSIDE,
        sequence=1,
        started=state.started,
        versions=outcomes,
        usage=usage,
        ended_at=now,
    )


async def read_courses(
    reader: LogReader, topic: str, partition: int, overdue: Sequence[Overdue]
) -> Mapping[TaskId, Course]:
    """Return what the log tells of overdue tasks of one partition; only those that have begun cost a reading.

    Raises what Kafka raises, and LogStalled.
    """
    courses = {task.task_id: Course(TaskState(task.task_id)) for task in overdue}
    begun = {task.task_id.encode() for task in overdue if task.started}
    if not begun:
        return courses
    start = min(task.offset for task in overdue if task.started)
    async with aclosing(reader.read(topic, partition, start)) as batches:
        async for batch in batches:
            for record in batch:
                if record.key in begun:
                    try:
                        event = decode_event(record.key, record.value, record.headers)
                    except RecordError:
                        continue
                    course = courses[event.task_id]
                    courses[event.task_id] = Course(
                        reduce(course.state, event), count_draft(course.draft_counts, event)
                    )
    return courses
