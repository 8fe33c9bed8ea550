"""Error answers in the shape of the OpenAI API."""

from typing import Final

from deploy.model_simulator.frames import Header, Reply, json_reply

_TYPES: Final = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "request_forbidden",
    404: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "requests",
}
_MESSAGES: Final = {
    "insufficient_quota": "You exceeded your current quota (simulated).",
    "rate_limit_exceeded": "Rate limit reached (simulated).",
    "invalid_api_key": "Incorrect API key provided (simulated).",
}


def error_reply(
    status: int,
    code: str | None,
    message: str | None = None,
    parameter: str | None = None,
    headers: tuple[Header, ...] = (),
) -> Reply:
    """Make an error answer; `code` is the machine-readable reason."""
    kind = "insufficient_quota" if code == "insufficient_quota" else _TYPES.get(status, "server_error")
    text = message or _MESSAGES.get(code or "", f"The simulated service answers {status}.")
    return json_reply(status, {"error": {"message": text, "type": kind, "param": parameter, "code": code}}, headers)
