"""Which request is for what."""

from deploy.model_simulator.api_errors import error_reply
from deploy.model_simulator.control import answer_control
from deploy.model_simulator.frames import Reply, json_reply
from deploy.model_simulator.generation_call import Api
from deploy.model_simulator.script import play_reply
from deploy.model_simulator.simulator import Answer, Request, Simulator

GENERATION_PATHS: dict[str, Api] = {"/v1/responses": "responses", "/v1/chat/completions": "chat"}


def route_request(simulator: Simulator, request: Request) -> Answer:
    """Return the answer to any request."""
    if request.path in GENERATION_PATHS:
        if request.method != "POST":
            return Answer(play_reply(error_reply(405, "method_not_supported")))
        return simulator.answer_generation(GENERATION_PATHS[request.path], request)
    return _route_others(simulator, request)


def _route_others(simulator: Simulator, request: Request) -> Answer:
    if request.path.startswith("/control/"):
        return Answer(play_reply(answer_control(simulator, request)))
    if request.path == "/v1/models" or request.path.startswith("/v1/models/"):
        return simulator.answer_models(request)
    if request.path == "/healthz":
        return Answer(play_reply(json_reply(200, {"status": "ok", "simulated": True})))
    if request.path == "/redirect-target":
        return Answer(play_reply(Reply(200, "text/plain", b"simulated redirect target")))
    return Answer(play_reply(error_reply(404, "unknown_url")))
