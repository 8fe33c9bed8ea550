"""The simulator's settings, read once in `__main__`."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.model_simulator.pace import ProfileName


class Settings(BaseSettings):
    """Environment variables with the prefix `SIMULATOR_`; the command line comes first."""

    model_config = SettingsConfigDict(env_prefix="SIMULATOR_", frozen=True)

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8090, ge=0, le=65535)
    """The port to listen on; 0 takes a free one, which the start line names."""
    profile: ProfileName = "realistic"
    """How fast texts appear."""
    body_limit_bytes: int = Field(default=8_000_000, gt=0)
    """A longer request body is answered with 413."""
    idle_timeout_seconds: float = Field(default=120, gt=0)
    """A connection without a request for this long is closed."""
    call_log_count: int = Field(default=200_000, gt=0)
    """How many calls the log keeps; older ones are dropped and counted."""
    die_with_parent: Literal["yes", "no"] = "no"
    """Whether the kernel ends this process when the one that started it ends."""
