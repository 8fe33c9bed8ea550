"""The OpenAPI document and a page that shows it, without any file from elsewhere."""

from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.params import FromPath
from litestar.response import Response

from producer_api.idempotency import HEADER
from producer_api.owner import COOKIE
from producer_api.problems import MEDIA_TYPE, Problem
from producer_api.submission import Submission

PATH = "/docs"
_ASSETS = {
    "swagger-ui.js": ("swagger_bundle.js", "text/javascript"),
    "swagger-ui-preset.js": ("swagger_preset.js", "text/javascript"),
    "swagger-ui.css": ("swagger_style.css", "text/css"),
}
_INTRODUCTION = (
    "Submit notes, cancel a task, fetch a ticket. Streams and snapshots are read from the relay, at the addresses "
    "that the answers name; docs/PROTOCOL.md describes both."
)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the problem documents that an operation may answer with."""
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, description=HTTPStatus(status).phrase, media_type=MEDIA_TYPE
        )
        for status in statuses
    }


@dataclass
class SubmitOperation(Operation):
    """`POST /v1/tasks`, whose body and header are read by our own stricter code: so they are described here."""

    def __post_init__(self) -> None:
        """Add the body and the header."""
        described = Submission.model_json_schema(ref_template="#/components/schemas/{model}")
        del described["$defs"]  # the catalogue has brought the same ones
        schema = cast("Schema", described)
        self.request_body = RequestBody({"application/json": OpenAPIMediaType(schema=schema)}, required=True)
        key = Schema(type=OpenAPIType.STRING, min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")
        self.parameters = [
            Parameter(
                name=HEADER,
                param_in="header",
                description="The same key and body of one owner is one task, however often it is sent.",
                required=False,
                schema=key,
            )
        ]


def documentation() -> OpenAPIConfig:
    """Return the configuration of the document and its page."""
    return OpenAPIConfig(
        title="draftstream API",
        version=_version(),
        description=_INTRODUCTION,
        path=PATH,
        components=Components(security_schemes=_security_schemes()),
        security=[{"cookie": []}, {"bearer": []}],
        use_handler_docstrings=True,
        render_plugins=[
            SwaggerRenderPlugin(
                path="/",
                js_url=f"{PATH}/assets/swagger-ui.js",
                css_url=f"{PATH}/assets/swagger-ui.css",
                standalone_preset_js_url=f"{PATH}/assets/swagger-ui-preset.js",
                favicon='<link rel="icon" href="data:,">',
            )
        ],
    )


@get(f"{PATH}/assets/{{name:str}}", include_in_schema=False)
async def read_asset(name: FromPath[str]) -> Response[bytes]:
    """Return a file of Swagger UI, from the installed package."""
    if name not in _ASSETS:
        raise NotFoundException
    file, media_type = _ASSETS[name]
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response((_assets() / file).read_bytes(), media_type=media_type, headers=headers)


def _assets() -> Path:
    spec = find_spec("offapi")
    if spec is None or not spec.submodule_search_locations:
        raise NotFoundException
    return Path(spec.submodule_search_locations[0])


def _version() -> str:
    try:
        return version("draftstream")
    except PackageNotFoundError:  # run from a source tree
        return "0.1.0"


def _security_schemes() -> dict[str, SecurityScheme | Reference]:
    return {
        "cookie": SecurityScheme(
            type="apiKey", name=COOKIE, security_scheme_in="cookie", description="Set by the first answer."
        ),
        "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
    }
