"""The API's paths below /v1."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import InternalServerException
from litestar.params import FromPath, FromQuery
from litestar.response import Response

from producer_api.answers import Answers, CancellationAnswer, TaskAnswer, TicketAnswer
from producer_api.body import MAX_BODY_BYTES, read_body, require_json
from producer_api.caller import Caller, CallerReader
from producer_api.catalogue import Catalogue, catalogue_of
from producer_api.documentation import SubmitOperation, problems
from producer_api.errors import InvalidRequest
from producer_api.idempotency import HEADER, read_key
from producer_api.intake import Intake
from producer_api.json_body import BODY
from producer_api.settings import Settings
from producer_api.submission import Submission
from student_records.edition import load_edition
from student_records.errors import UnknownSchoolYear

Connection = Request[Any, Any, State]
SET_COOKIE = "draftstream_set_cookie"
_NO_STORE = {"Cache-Control": "no-store"}


@post(
    "/tasks",
    status_code=202,
    operation_id="submitTask",
    summary="Submit notes",
    response_description="Kafka has the request; a repeated key gets the same answer.",
    operation_class=SubmitOperation,
    request_max_body_size=MAX_BODY_BYTES,
    responses=problems(400, 401, 403, 408, 409, 413, 415, 421, 429, 503),
)
async def submit_task(
    request: Connection,
    caller: NamedDependency[Caller],
    settings: NamedDependency[Settings],
    intake: NamedDependency[Intake],
    answers: NamedDependency[Answers],
) -> Response[TaskAnswer]:
    """Submit notes; 202 means that Kafka has the request."""
    key = read_key(_values(request, HEADER))
    require_json(_values(request, "content-type"), _values(request, "content-encoding"))
    submission = Submission.parse(await _body(request, settings.body_seconds))
    task = await intake.submit(caller, submission, key)
    answer = answers.task(task, settings.public_url or _own_url(request), datetime.now(UTC))
    return Response(answer, headers=_NO_STORE)


@post(
    "/tasks/{task_id:str}/cancel",
    status_code=202,
    operation_id="cancelTask",
    summary="Cancel a task",
    response_description="Kafka has the cancellation.",
    responses=problems(400, 401, 403, 404, 421, 429, 503),
)
async def cancel_task(
    caller: NamedDependency[Caller], intake: NamedDependency[Intake], task_id: FromPath[str]
) -> CancellationAnswer:
    """Cancel a task of the caller; unknown, foreign and malformed ids answer alike."""
    await intake.cancel(caller, task_id)
    return CancellationAnswer(task_id=task_id)


@post(
    "/tickets",
    status_code=201,
    operation_id="createTicket",
    summary="Get a ticket for everything of the caller",
    response_description="A ticket for the owner's stream.",
    responses=problems(400, 401, 403, 421),
)
async def create_ticket(caller: NamedDependency[Caller], answers: NamedDependency[Answers]) -> Response[TicketAnswer]:
    """Get the right to read everything of the caller."""
    return Response(answers.ticket(caller.owner, datetime.now(UTC)), headers=_NO_STORE)


@get(
    "/catalogue",
    security=[{}],
    operation_id="readCatalogue",
    summary="What can be asked for",
    response_description="Items, limits and viewpoints of one school year.",
    responses=problems(400),
)
async def read_catalogue(
    settings: NamedDependency[Settings],
    default_school_year: NamedDependency[int],
    school_year: FromQuery[int | None] = None,
) -> Response[Catalogue]:
    """Tell what can be asked for: items, limits, viewpoints; and where streams are read."""
    try:
        edition = load_edition(default_school_year if school_year is None else school_year)
    except UnknownSchoolYear as error:
        raise InvalidRequest("school_year", f"is not known; known are {', '.join(map(str, error.known))}") from None
    catalogue = catalogue_of(edition, settings.relay_url, simulated=settings.simulated)
    return Response(catalogue, headers={"Cache-Control": "no-cache"})


async def provide_caller(request: Connection, callers: NamedDependency[CallerReader]) -> Caller:
    """Read the caller; a new owner's cookie goes with whatever answer follows."""
    caller = callers.read(lambda name: _values(request, name), secure=request.url.scheme == "https")
    request.scope["state"][SET_COOKIE] = caller.set_cookie
    return caller


def v1_router() -> Router:
    """Return the paths; the wiring provides what they depend on."""
    return Router(
        "/v1",
        route_handlers=[submit_task, cancel_task, create_ticket, read_catalogue],
        dependencies={"caller": Provide(provide_caller)},
    )


def _values(request: Connection, name: str) -> list[str]:
    return request.headers.getall(name, [])


def _own_url(request: Connection) -> str:
    return str(request.base_url).rstrip("/")


async def _body(request: Connection, seconds: float) -> bytes:
    try:
        return await read_body(request.stream(), seconds)
    except InternalServerException:  # what Litestar calls a client that hangs up
        raise InvalidRequest(BODY, "did not arrive whole") from None
