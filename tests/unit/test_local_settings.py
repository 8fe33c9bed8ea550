from pathlib import Path

import pytest

from deploy.local.settings import LocalSettings, adopt_env_file


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_what_the_env_file_says_reaches_every_service_and_what_is_set_stays(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text('OPENAI_API_KEY=from-file\nMODEL_NAME="from file"\nAPI_OWNER_BURST_COUNT=5\n')
    environment = {"MODEL_NAME": "set already"}
    adopt_env_file(file, environment)
    assert environment == {
        "OPENAI_API_KEY": "from-file",
        "MODEL_NAME": "set already",
        "API_OWNER_BURST_COUNT": "5",
    }


def test_no_env_file_is_no_error(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    adopt_env_file(tmp_path / ".env", environment)
    assert environment == {}


def test_without_a_key_and_a_server_the_simulator_writes() -> None:
    assert LocalSettings().simulated


@pytest.mark.parametrize(
    ("variable", "value"), [("OPENAI_API_KEY", "a-key"), ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1")]
)
def test_a_key_or_a_server_of_ones_own_is_a_model(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    assert not LocalSettings().simulated
