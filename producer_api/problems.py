"""Problem documents (RFC 9457, `application/problem+json`)."""

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

from producer_api.errors import API_ERRORS, ApiError

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "/problems/"


class Problem(BaseModel):
    """Why a request was not done. Holds nothing that the caller sent."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(
        description="A relative URI that names the kind of problem.", examples=["/problems/task-not-found"]
    )
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request.")
    field: str | None = Field(None, description="The field or header that is wrong.")


def problem_of(error: ApiError) -> Problem:
    """Return the document of an error."""
    return Problem(
        type=_TYPE_PREFIX + error.slug,
        title=error.title,
        status=error.status,
        detail=error.detail,
        field=error.extension.get("field"),
    )


def problem_of_status(status: int) -> Problem:
    """Return the document of an HTTP status that the framework decided, in the standard's words."""
    known = HTTPStatus(status)
    return Problem(
        type=_TYPE_PREFIX + known.phrase.lower().replace(" ", "-"),
        title=known.phrase,
        status=status,
        detail=known.description or known.phrase,
    )


def meaning_of(slug: str) -> str | None:
    """Return one sentence about a kind of problem, for whoever opens its URI."""
    for error in API_ERRORS:
        if error.slug == slug:
            return f"{error.title} ({error.status}). {error.__doc__}"
    return None
