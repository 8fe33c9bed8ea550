"""Ask the model's server whether it takes the key, before anything depends on it."""

from http import HTTPStatus

import httpx2

from deploy.local.errors import ModelRefused, ModelUnreachable

_SECONDS = 10.0


def check_model(base_url: str, key: str, proxy_url: str | None = None) -> None:
    """Return when the server takes the key or cannot tell; raise ModelRefused or ModelUnreachable.

    A server without a list of models (404, 405) is fine: not every OpenAI-compatible one has it.
    """
    try:
        answer = httpx2.get(
            f"{base_url.rstrip('/')}/models",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_SECONDS,
            proxy=proxy_url,
            trust_env=False,  # the worker does not either
        )
    except httpx2.HTTPError as error:
        raise ModelUnreachable(base_url, type(error).__name__) from None
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise ModelRefused(base_url, answer.status_code)
