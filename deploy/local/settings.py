"""What can be chosen for the system on one machine: environment variables, or a `.env` file (`adopt_env_file`)."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

_OPENAI_URL = "https://api.openai.com/v1"


class LocalSettings(BaseSettings):
    """Settings of `make run`; every one has a default that works."""

    model_config = SettingsConfigDict(env_prefix="DRAFTSTREAM_", extra="ignore", frozen=True)

    run_directory: Path = Path(".run")
    """Where the records of Kafka, keys and logs are kept."""
    kafka_port: int = Field(default=19092, ge=0, le=65_535)
    """Port of the broker; 0 takes a free one, as for every port here."""
    api_port: int = Field(default=8000, ge=0, le=65_535)
    """Port of the API and of the page."""
    relay_port: int = Field(default=8001, ge=0, le=65_535)
    """Port of the relay."""
    simulator_port: int = Field(default=8002, ge=0, le=65_535)
    """Port of the model simulator."""
    worker_count: int = Field(default=1, ge=1, le=8)
    """How many worker processes run."""
    broker_count: Literal[1, 3] = 1
    """One broker, or three that replicate to each other."""
    simulator_profile: Literal["realistic", "seed", "fast"] = "realistic"
    """How fast the simulator writes."""
    demonstration: bool = True
    """Whether a sample is submitted and shown at the start."""

    kafka_bootstrap: str = Field(default="", validation_alias="KAFKA_BOOTSTRAP")
    """Address of a broker that already runs; then none is started."""
    openai_api_key: SecretStr = Field(default=SecretStr(""), validation_alias="OPENAI_API_KEY")
    """With a key the model behind it writes."""
    openai_base_url: str = Field(default=_OPENAI_URL, validation_alias="OPENAI_BASE_URL")
    """Base URL of any OpenAI-compatible server; one of your own may need no key."""
    model_proxy_url: str | None = Field(default=None, validation_alias="MODEL_PROXY_URL")
    """A proxy for the calls of the model; the environment's proxy variables are not read."""

    @field_validator("run_directory")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def simulated(self) -> bool:
        """Whether the texts come from the simulator: neither a key nor a server of one's own is given."""
        return not self.openai_api_key.get_secret_value() and self.openai_base_url.rstrip("/") == _OPENAI_URL


def adopt_env_file(path: Path, environment: MutableMapping[str, str]) -> None:
    """Put what a `.env` file says into the environment, which every service inherits; what is set there stays."""
    source = DotEnvSettingsSource(LocalSettings, env_file=path, case_sensitive=True)
    for name, value in source.env_vars.items():
        environment.setdefault(name, value or "")
