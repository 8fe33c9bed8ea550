import pytest
from pydantic import ValidationError

from stream_processors.model_settings import OPENAI_URL, ModelSettings


def test_openai_is_the_default_and_its_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    settings = ModelSettings()
    assert settings.base_url == OPENAI_URL
    assert settings.api_key.get_secret_value() == "sk-secret"
    assert "secret" not in f"{settings!r}{settings.model_dump_json()}".replace("secret_", "")


def test_everything_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    monkeypatch.setenv("MODEL_NAME", "ours")
    monkeypatch.setenv("MODEL_API", "chat")
    monkeypatch.setenv("MODEL_CALLS_PER_MINUTE", "60")
    settings = ModelSettings()
    assert (settings.base_url, settings.name, settings.api) == ("https://models.example/v1", "ours", "chat")
    assert settings.calls_per_minute == 60


@pytest.mark.parametrize(
    ("base_url", "more"),
    [
        (OPENAI_URL, {}),
        (OPENAI_URL, {"simulated": True, "api_key": "sk-1"}),
        ("http://models.example/v1", {"api_key": "sk-1"}),
        ("https://user:password@models.example/v1", {}),
        ("ftp://models.example", {}),
        ("models.example", {}),
    ],
)
def test_what_is_unsafe_is_refused_without_showing_it(base_url: str, more: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelSettings.model_validate({"base_url": base_url, **more})
    assert "password" not in str(caught.value)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "more"),
    [
        ("http://127.0.0.1:8090/v1", {}),
        ("http://[::1]:8090/v1", {}),
        ("http://localhost:8090/v1", {}),
        ("http://simulator:8090/v1", {"simulated": True}),
        ("http://vllm:8000/v1", {"allow_plain_http": True}),
        ("https://models.example/v1", {}),
    ],
)
def test_servers_of_ones_own_need_no_key(base_url: str, more: dict[str, object]) -> None:
    assert ModelSettings.model_validate({"base_url": base_url, **more}).base_url == base_url


def test_only_the_simulator_is_told_whom_a_call_is_for_unless_asked() -> None:
    local = {"base_url": "http://127.0.0.1:8090/v1"}
    assert ModelSettings.model_validate({**local, "simulated": True}).sends_metadata
    assert not ModelSettings.model_validate(local).sends_metadata
    assert ModelSettings.model_validate({**local, "send_metadata": True}).sends_metadata
