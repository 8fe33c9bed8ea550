"""Errors as answers: ours, the framework's, and the ones that nobody has thought of."""

from typing import Any

import structlog
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from producer_api.body import MAX_BODY_BYTES
from producer_api.errors import ApiError, BodyTooLarge, InvalidRequest
from producer_api.metrics import Metrics
from producer_api.problems import MEDIA_TYPE, Problem, problem_of, problem_of_status

Connection = Request[Any, Any, State]
Answer = Response[dict[str, Any]]

_log = structlog.get_logger()


def exception_handlers(metrics: Metrics) -> ExceptionHandlersMap:
    """Return a handler for every exception; each answers with a problem document that repeats nothing."""

    def answer(problem: Problem, headers: dict[str, str] | None = None) -> Answer:
        metrics.problems.labels(problem.type.rpartition("/")[2]).inc()
        content = problem.model_dump(exclude_none=True)
        return Response(content, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)

    def answer_own(_: Connection, error: ApiError) -> Answer:
        return answer(problem_of(error), error.headers)

    def answer_framework(_: Connection, error: HTTPException) -> Answer:
        if error.status_code == BodyTooLarge.status:
            return answer(problem_of(BodyTooLarge(f"send at most {MAX_BODY_BYTES} bytes")))
        if isinstance(error, ValidationException):
            return answer(problem_of(InvalidRequest(_field_of(error), "is not valid")))
        return answer(problem_of_status(error.status_code), error.headers)

    def answer_unexpected(_: Connection, error: Exception) -> Answer:
        _log.error("request.failed", error=type(error).__name__, where=_where(error))
        return answer(problem_of_status(500))

    return {ApiError: answer_own, HTTPException: answer_framework, Exception: answer_unexpected}


def _field_of(error: ValidationException) -> str:
    """Return the name of the parameter: one of ours, never the caller's text."""
    problems = error.extra
    if isinstance(problems, list) and problems and isinstance(problems[0], dict):
        return str(problems[0].get("key", "request"))
    return "request"


def _where(error: Exception) -> str:
    """Name the function that raised; an exception's text could hold what somebody wrote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
