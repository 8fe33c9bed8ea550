"""The error tree, its documents, and what its docstring draws."""

import re

import pytest

from producer_api import errors
from producer_api.errors import API_ERRORS, ApiError, InvalidRequest
from producer_api.problems import meaning_of, problem_of, problem_of_status


def subclasses(cls: type[ApiError]) -> set[type[ApiError]]:
    return {each for child in cls.__subclasses__() for each in {child, *subclasses(child)}}


def test_every_error_is_listed_drawn_and_has_a_name_of_its_own() -> None:
    assert set(API_ERRORS) == subclasses(ApiError)
    drawn = dict(re.findall(r"── (\w+) +(\d{3})", errors.__doc__ or ""))
    assert drawn == {error.__name__: str(error.status) for error in API_ERRORS}
    assert len({error.slug for error in API_ERRORS}) == len(API_ERRORS)


@pytest.mark.parametrize("error", API_ERRORS)
def test_every_kind_of_problem_has_a_meaning(error: type[ApiError]) -> None:
    meaning = meaning_of(error.slug)
    assert meaning is not None
    assert str(error.status) in meaning


def test_a_problem_names_the_field() -> None:
    problem = problem_of(InvalidRequest("notes", "is required"))
    assert problem.model_dump() == {
        "type": "/problems/invalid-request",
        "title": "The request is not valid",
        "status": 400,
        "detail": "notes: is required",
        "field": "notes",
    }


def test_a_status_that_the_framework_decides_is_told_in_the_standards_words() -> None:
    assert problem_of_status(405).type == "/problems/method-not-allowed"
    assert problem_of_status(404).title == "Not Found"


def test_an_unknown_kind_has_no_meaning() -> None:
    assert meaning_of("no-such-problem") is None
