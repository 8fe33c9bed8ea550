"""A task whose turn never comes ends when its start deadline passes, not minutes later."""

from datetime import timedelta

from contracts.attempt import Attempt
from contracts.events import TaskStarted
from stream_processors.projector.projection import PartitionProjection
from tests.unit.stream_processors.test_projection import FIRST, NOW, TASKS, accepted, project


def test_a_task_that_waits_behind_its_start_deadline_is_overdue() -> None:
    projection = PartitionProjection(0, 0, {})
    started = TaskStarted(task_id=TASKS[1], attempt=Attempt(*FIRST), sequence=0)
    project(projection, [accepted(TASKS[0]), accepted(TASKS[1]), started])
    overdue = projection.overdue(NOW + timedelta(seconds=1))
    assert [(task.task_id, task.started) for task in overdue] == [(TASKS[0], False)]
