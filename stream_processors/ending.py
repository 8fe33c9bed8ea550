"""How a task ends, from what became of its versions. Pure."""

from collections.abc import Iterable

from contracts.events import Reason, Usage, VersionOutcome, VersionStatus
from contracts.lifecycle import TaskState, VersionStage, VersionState

_MOST_TELLING = (
    Reason.UNAUTHORISED,
    Reason.QUOTA_EXHAUSTED,
    Reason.INVALID_REQUEST,
    Reason.MALFORMED_COMMAND,
    Reason.REFUSED,
    Reason.FILTERED,
    Reason.FORBIDDEN_CONTENT,
    Reason.TOO_LONG,
    Reason.LENGTH,
    Reason.RATE_LIMITED,
    Reason.OVERLOADED,
    Reason.TIMEOUT,
    Reason.TRUNCATED,
    Reason.PROTOCOL,
    Reason.BUDGET_EXHAUSTED,
    Reason.DEADLINE,
    Reason.WORKER_CRASHED,
    Reason.INTERNAL,
)
"""First what somebody can act on, then what the text did, then what passes by itself."""


def most_telling(outcomes: Iterable[VersionOutcome]) -> Reason:
    """Return the one reason for a task whose versions failed for several."""
    reasons = {outcome.reason for outcome in outcomes}
    return next((reason for reason in _MOST_TELLING if reason in reasons), Reason.INTERNAL)


def completed_count(outcomes: Iterable[VersionOutcome]) -> int:
    """Return how many versions are done."""
    return sum(outcome.status is VersionStatus.COMPLETED for outcome in outcomes)


def total_usage(outcomes: Iterable[VersionOutcome]) -> Usage:
    """Return what all versions cost together."""
    return sum((outcome.usage for outcome in outcomes), start=Usage())


def settled_outcomes(known: TaskState) -> dict[int, VersionOutcome]:
    """Return the versions that an earlier attempt settled, by their numbers."""
    return {version.version: _outcome(version) for version in known.versions if version.settled}


def _outcome(version: VersionState) -> VersionOutcome:
    is_completed = version.stage is VersionStage.COMPLETED
    return VersionOutcome(
        version=version.version,
        viewpoint=version.viewpoint,
        status=VersionStatus.COMPLETED if is_completed else VersionStatus.FAILED,
        text=version.text,
        characters=version.characters,
        bytes=version.bytes,
        findings=version.findings,
        reason=version.reason,
        usage=version.usage,
    )
