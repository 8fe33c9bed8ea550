"""The page at /, and one sentence at the URI of each kind of problem."""

from typing import Any

from litestar import Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Response

from producer_api.page import Page, PageFile
from producer_api.problems import meaning_of


class PageHeaders:
    """The headers of every file of the page."""

    def __init__(self, relay_url: str) -> None:
        policy = (
            f"default-src 'self'; connect-src 'self' {relay_url}; img-src 'self' data:; "
            "style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self.values = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }


@get(["/", "/{path:path}"], include_in_schema=False)
async def read_page(
    request: Request[Any, Any, State],
    page: NamedDependency[Page],
    page_headers: NamedDependency[PageHeaders],
    path: FromPath[str] = "/",
) -> Response[bytes]:
    """Return a file of the page, or 304 when the browser has it."""
    file = page.find(path)
    if file is None:
        raise NotFoundException
    return _answer(file, request.headers.getall("if-none-match", []), page_headers)


@get("/problems/{slug:str}", include_in_schema=False, media_type="text/plain")
async def read_problem(slug: FromPath[str]) -> str:
    """Say what a kind of problem means."""
    if (meaning := meaning_of(slug)) is None:
        raise NotFoundException
    return meaning


def _answer(file: PageFile, if_none_match: list[str], page_headers: PageHeaders) -> Response[bytes]:
    headers = {**page_headers.values, "ETag": file.etag}
    if file.matches(if_none_match):
        return Response(b"", status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
