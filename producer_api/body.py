"""The body of a request: JSON by its media type, within a size and a time."""

import asyncio
from collections.abc import AsyncIterable, Sequence

from producer_api.errors import BodyTooLarge, InvalidRequest, RequestTimeout, UnsupportedMediaType

MAX_BODY_BYTES = 64 << 10


def require_json(content_types: Sequence[str], content_encodings: Sequence[str]) -> None:
    """Raise UnsupportedMediaType unless the body is uncompressed `application/json` in UTF-8.

    A form post from any other page would not be: so a cookie alone never makes a submission.
    """
    if len(content_types) > 1:
        raise InvalidRequest("Content-Type", "is given twice")
    media_type, *parameters = (part.strip().lower() for part in (content_types or ("",))[0].split(";"))
    if media_type != "application/json" or any(each not in {"charset=utf-8", 'charset="utf-8"'} for each in parameters):
        raise UnsupportedMediaType("send Content-Type: application/json, in UTF-8")
    if any(each.strip().lower() != "identity" for each in content_encodings):
        raise UnsupportedMediaType("send the body uncompressed")


async def read_body(chunks: AsyncIterable[bytes], seconds: float) -> bytes:
    """Return the whole body; raise BodyTooLarge or RequestTimeout."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise BodyTooLarge(f"send at most {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        raise RequestTimeout(f"send the body within {seconds:g} seconds") from None
    return bytes(body)
