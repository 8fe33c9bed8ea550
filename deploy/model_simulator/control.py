"""The control API: rules, limits, pace and the call log."""

from collections.abc import Callable
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from deploy.model_simulator.faults import FAULT_RULES
from deploy.model_simulator.frames import Reply, json_reply
from deploy.model_simulator.limits import LimitSettings
from deploy.model_simulator.pace import PROFILES, Pace, ProfileName
from deploy.model_simulator.simulator import Request, Simulator

_DEFAULT_PAGE_COUNT = 10_000


class _Profile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    profile: ProfileName


_PACE_CHOICE: TypeAdapter[_Profile | Pace] = TypeAdapter(_Profile | Pace)


def answer_control(simulator: Simulator, request: Request) -> Reply:
    """Answer a request below `/control/`."""
    resource = request.path.removeprefix("/control/")
    act = _ACTS.get((request.method, resource))
    if act is None:
        known = any(name == resource for _, name in _ACTS)
        return json_reply(405 if known else 404, {"error": "no such control call"})
    try:
        return json_reply(200, act(simulator, request))
    except ValidationError as error:
        return json_reply(422, {"error": error.errors(include_input=False, include_url=False, include_context=False)})
    except ValueError:
        return json_reply(422, {"error": "a value is not of the expected kind"})


def _put_faults(simulator: Simulator, request: Request) -> object:
    simulator.faults.set_rules(FAULT_RULES.validate_json(request.body))
    return _get_faults(simulator, request)


def _delete_faults(simulator: Simulator, request: Request) -> object:
    simulator.faults.set_rules([])
    return _get_faults(simulator, request)


def _get_faults(simulator: Simulator, _: Request) -> object:
    return {"rules": simulator.faults.report()}


def _put_limits(simulator: Simulator, request: Request) -> object:
    simulator.set_limits(LimitSettings.model_validate_json(request.body))
    return _get_limits(simulator, request)


def _delete_limits(simulator: Simulator, request: Request) -> object:
    simulator.set_limits(LimitSettings())
    return _get_limits(simulator, request)


def _get_limits(simulator: Simulator, _: Request) -> object:
    return simulator.limits.settings.model_dump(mode="json")


def _put_pace(simulator: Simulator, request: Request) -> object:
    choice = _PACE_CHOICE.validate_json(request.body)
    simulator.pace = PROFILES[choice.profile] if isinstance(choice, _Profile) else choice
    return _get_pace(simulator, request)


def _get_pace(simulator: Simulator, _: Request) -> object:
    return simulator.pace.model_dump(mode="json")


def _get_calls(simulator: Simulator, request: Request) -> object:
    query = parse_qs(request.query)
    after = int(query.get("after", ["0"])[0])
    limit = max(int(query.get("limit", [str(_DEFAULT_PAGE_COUNT)])[0]), 1)
    log = simulator.calls
    return {
        "total_count": log.total_count,
        "dropped_count": log.dropped_count,
        "running_count": log.running_count,
        "peak_running_count": log.peak_running_count,
        "now": simulator.now(),
        "calls": log.page(after, limit, query.get("task_id", [None])[0]),
    }


def _delete_calls(simulator: Simulator, request: Request) -> object:
    simulator.calls.clear()
    return _get_calls(simulator, request)


_ACTS: dict[tuple[str, str], Callable[[Simulator, Request], object]] = {
    ("PUT", "faults"): _put_faults,
    ("DELETE", "faults"): _delete_faults,
    ("GET", "faults"): _get_faults,
    ("PUT", "limits"): _put_limits,
    ("DELETE", "limits"): _delete_limits,
    ("GET", "limits"): _get_limits,
    ("PUT", "pace"): _put_pace,
    ("GET", "pace"): _get_pace,
    ("GET", "calls"): _get_calls,
    ("DELETE", "calls"): _delete_calls,
}
