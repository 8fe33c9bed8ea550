"""How the model is reached and how much of it may be used; read once, by the wiring."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

OPENAI_URL = "https://api.openai.com/v1"
_OPENAI_HOST = "api.openai.com"

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class ModelSettings(BaseSettings):
    """Environment variables with the prefix `MODEL_`, besides `OPENAI_API_KEY` and `OPENAI_BASE_URL`."""

    model_config = SettingsConfigDict(
        env_prefix="MODEL_", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    api_key: SecretStr = Field(default=SecretStr(""), validation_alias=AliasChoices("OPENAI_API_KEY"))
    """The key; servers of one's own may need none."""
    base_url: str = Field(default=OPENAI_URL, validation_alias=AliasChoices("OPENAI_BASE_URL"))
    """Where the API is, its version included."""
    name: str = Field(default="gpt-5.4-mini", min_length=1)
    """The model's name, as the server knows it."""
    api: Literal["responses", "chat"] = "responses"
    """Which of the two APIs the server has; most other than OpenAI's have only `chat`."""
    simulated: bool = False
    """Whether the server is the simulator, whose texts must never pass for a model's."""
    send_metadata: bool | None = None
    """Whether calls carry task, version, purpose and attempt; by default only the simulator's do."""
    ask_for_usage: bool = True
    """Whether a chat call asks for the usage figures; a few servers refuse the question."""
    max_output_tokens: Count | None = None
    """The most tokens of one answer, reasoning included; None leaves it to the server."""
    proxy_url: str | None = None
    """A proxy for the calls; the environment's proxy variables are not read."""
    allow_plain_http: bool = False
    """Whether a server that is not on this machine may be spoken to without TLS."""

    connect_seconds: Seconds = 10.0
    """The longest time until a connection stands."""
    first_text_seconds: Seconds = 60.0
    """The longest time until the first text of an answer."""
    silence_seconds: Seconds = 20.0
    """The longest time between two pieces of text; comments and empty events are no text."""
    call_seconds: Seconds = 180.0
    """The longest time of a whole call."""
    line_bytes: Count = 1 << 20
    """The longest line of an answer."""
    text_bytes: Count = 32 << 10
    """The longest text; a record holds 1,500 bytes."""
    answer_bytes: Count = 8 << 20
    """The longest answer, everything included."""

    concurrent_call_count: Count = 150
    """Calls of one process at once: three for each of a worker's fifty tasks."""
    calls_per_minute: Count | None = None
    """Calls of one process in any minute; None is no limit."""
    tokens_per_minute: Count | None = None
    """Tokens of one process in any minute; None is no limit."""
    call_budget: Count = 6
    """Calls of one version in one attempt, failed ones, rewrites and shortenings included."""
    total_call_budget: Count = 20
    """The same over all attempts, however many workers die; of earlier attempts the drafts are counted."""
    breaker_open_seconds: Seconds = 30.0
    """How long no call is made after the key or the quota was refused."""

    @property
    def sends_metadata(self) -> bool:
        """Whether calls carry what the simulator's call log wants to know."""
        return self.simulated if self.send_metadata is None else self.send_metadata

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        address = urlsplit(self.base_url)
        host = address.hostname or ""
        if address.scheme not in ("http", "https") or not host:
            raise ValueError("the base URL is an http or https address")
        if address.username or address.password:
            raise ValueError("the base URL holds no credentials")
        if self.simulated and host == _OPENAI_HOST:
            raise ValueError("the simulator is not at OpenAI's address")
        if host == _OPENAI_HOST and not self.api_key.get_secret_value():
            raise ValueError("OpenAI needs OPENAI_API_KEY")
        if address.scheme == "http" and not (self.simulated or self.allow_plain_http or _is_loopback(host)):
            raise ValueError("plain http to another machine shows notes and key to the network: use https")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
