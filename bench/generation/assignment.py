"""The tasks that are measured: the repository's sample notes, three versions each."""

from datetime import UTC, datetime, timedelta

from contracts.commands import GenerationRequest, Limit, VersionPlan
from contracts.task import new_task_id
from deploy.local.sample_notes import Sample, sample_notes
from student_records.edition import Edition, known_school_years, load_edition
from student_records.items import Item, SchoolLevel
from student_records.prompts import Prompt, draft_prompt, viewpoint_of
from student_records.viewpoints import viewpoints_for

VERSION_COUNT = 3
_DEADLINE_SECONDS = 600


def requests(count: int) -> list[GenerationRequest]:
    """Make that many requests; they repeat the samples in turn."""
    edition = load_edition(known_school_years()[-1])
    samples = sample_notes()
    return [_request(edition, samples[number % len(samples)]) for number in range(count)]


def prompts(request: GenerationRequest) -> list[Prompt]:
    """Return the prompts of a request's drafts, as the worker words them."""
    edition = load_edition(known_school_years()[-1])
    level, item = SchoolLevel(request.school_level), Item(request.item)
    return [
        draft_prompt(edition, level, item, viewpoint_of(edition, item, plan.viewpoint), request.notes)
        for plan in request.versions
    ]


def _request(edition: Edition, sample: Sample) -> GenerationRequest:
    level, item = SchoolLevel(sample.school_level), Item(sample.item)
    limit = edition.limits[level][item]
    now = datetime.now(UTC)
    deadline = now + timedelta(seconds=_DEADLINE_SECONDS)
    viewpoints = viewpoints_for(edition, item, VERSION_COUNT)
    return GenerationRequest(
        task_id=new_task_id(),
        edition=edition.id,
        school_level=sample.school_level,
        item=sample.item,
        notes=sample.notes,
        versions=tuple(
            VersionPlan(version=number, viewpoint=viewpoint.id, title=viewpoint.title)
            for number, viewpoint in enumerate(viewpoints, start=1)
        ),
        limit=Limit(characters=limit.characters, bytes=limit.bytes),
        accepted_at=now,
        start_deadline=deadline,
        end_deadline=deadline,
    )
