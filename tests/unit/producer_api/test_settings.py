from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from producer_api.settings import Settings

FILES = {"ticket_key_file": Path("key.pem"), "secret_file": Path("secret")}


def settings(**changes: Any) -> Settings:
    return Settings(**(FILES | changes))


def test_the_defaults_are_for_one_machine() -> None:
    defaults = settings()
    assert (defaults.host, defaults.port, defaults.bootstrap) == ("127.0.0.1", 8000, "127.0.0.1:9092")
    assert (defaults.start_deadline_seconds, defaults.run_deadline_seconds) == (600, 300)
    assert defaults.topics.requests.name == "generation.requests"


def test_lists_are_read_from_the_environment_without_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_ALLOWED_ORIGINS", "https://a.example, https://b.example:8443")
    monkeypatch.setenv("API_TICKET_KEY_FILE", "key.pem")
    monkeypatch.setenv("API_SECRET_FILE", "secret")
    assert Settings().allowed_origins == ("https://a.example", "https://b.example:8443")


UNSAFE: dict[str, tuple[dict[str, Any], str]] = {
    "cookie owners on the network": ({"host": "0.0.0.0"}, "identity=local"),
    "cookie owners under a name": ({"host": "api.example"}, "identity=local"),
    "tokens without a key": ({"identity": "jwt"}, "API_JWT_PUBLIC_KEY_FILE"),
    "tokens for anybody": (
        {"identity": "jwt", "jwt_public_key_file": Path("k"), "jwt_issuer": "i"},
        "API_JWT_AUDIENCE",
    ),
    "a task that outlives its cancellation": (
        {"start_deadline_seconds": 86_400, "ticket_ttl_seconds": 90_000},
        "API_START_DEADLINE_SECONDS",
    ),
    "a ticket shorter than its task": ({"ticket_ttl_seconds": 899}, "API_TICKET_TTL_SECONDS"),
    "keys remembered longer than requests": ({"idempotency_window_seconds": 86_401}, "longer than the requests"),
    "every origin": ({"allowed_origins": ("*",)}, "exact origin"),
    "an origin with a path": ({"allowed_origins": ("https://a.example/",)}, "exact origin"),
    "a wildcard in an origin": ({"allowed_origins": ("https://*.example",)}, "exact origin"),
    "a relay that is no URL": ({"relay_url": "localhost:8001"}, "must be http"),
    "a public address that is no URL": ({"public_url": "ftp://a"}, "must be http"),
    "an unknown identity": ({"identity": "none"}, "identity"),
    "a symmetric algorithm": ({"jwt_algorithm": "HS256"}, "jwt_algorithm"),
}


@pytest.mark.parametrize(("changes", "reason"), UNSAFE.values(), ids=UNSAFE.keys())
def test_an_unsafe_combination_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(**changes)


def test_cookie_owners_on_the_network_can_be_chosen() -> None:
    assert settings(host="0.0.0.0", allow_local_identity_on_network=True).host == "0.0.0.0"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        settings().port = 1  # type: ignore[misc]  # what this test is about
