"""Settings of the API: environment variables with the prefix `API_`, read once at start."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.topics import Topics


class Identity(StrEnum):
    """How the owner of a request is found."""

    LOCAL = "local"
    JWT = "jwt"


class JwtAlgorithm(StrEnum):
    """The one signature algorithm that bearer tokens may have."""

    EDDSA = "EdDSA"
    ES256 = "ES256"
    RS256 = "RS256"


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


def _split(value: object) -> object:
    """Take `a,b` as two entries, so that a list needs no JSON in the environment."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be http://HOST[:PORT] or https://HOST[:PORT]")
    return value.rstrip("/")


def _exact_origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = urlsplit(value)
        if value != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in {"http", "https"} or "*" in value:
            raise ValueError("each entry must be one exact origin, such as https://school.example")
    return values


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """All settings; a combination that would be unsafe is refused."""

    model_config = SettingsConfigDict(env_prefix="API_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str = Field("", description="This API as clients reach it; empty: as the request names it.")
    relay_url: HttpUrl = Field("http://127.0.0.1:8001", description="The relay as clients reach it.")
    serve_web: bool = Field(True, description="Serve the page at / (a gateway does it elsewhere).")
    simulated: bool = Field(False, description="Tell clients that no real model writes.")
    school_year: int | None = Field(None, description="School year whose rules apply by default; empty: the newest.")
    log_format: LogFormat = Field(LogFormat.JSON, description="Log lines as JSON or for a terminal.")

    bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, HOST:PORT[,HOST:PORT…].")
    topic_prefix: str = Field("generation", description="What all topic names begin with.")
    partition_count: int = Field(12, ge=1, description="Partitions of every topic.")
    kafka_deadline_seconds: float = Field(5.0, gt=0, le=60, description="All that one request may wait for Kafka.")
    kafka_check_seconds: float = Field(2.0, gt=0, description="Between two looks at Kafka: reachable, topics, lag.")
    unacknowledged_count: int = Field(500, ge=1, description="Records that may wait for Kafka; more are refused.")

    ticket_key_file: Path = Field(description="Ed25519 private key (PKCS #8 PEM) that signs tickets.")
    secret_file: Path = Field(description="Secret of at least 32 bytes, for task ids and cookies.")
    ticket_ttl_seconds: int = Field(86_400, ge=60, description="How long a ticket is good.")
    start_deadline_seconds: int = Field(600, ge=1, description="A task must start within this time.")
    run_deadline_seconds: int = Field(300, ge=1, description="And end within this time after that.")
    idempotency_window_seconds: int = Field(86_400, ge=60, description="How long an idempotency key is remembered.")
    remembered_task_count: int = Field(200_000, ge=1, description="Tasks remembered; the oldest are forgotten first.")

    identity: Identity = Field(Identity.LOCAL, description="Owner from a cookie (local) or a bearer token (jwt).")
    allow_local_identity_on_network: bool = Field(False, description="Cookie owners although others can connect.")
    jwt_public_key_file: Path | None = Field(None, description="Public key (PEM) that verifies bearer tokens.")
    jwt_algorithm: JwtAlgorithm = Field(JwtAlgorithm.EDDSA, description="The one algorithm that is taken.")
    jwt_audience: str = Field("", description="The `aud` that a bearer token must have.")
    jwt_issuer: str = Field("", description="The `iss` that a bearer token must have.")
    allowed_origins: Annotated[Names, AfterValidator(_exact_origins)] = Field(
        (), description="Origins of other pages that may use this API."
    )
    allowed_hosts: Names = Field(
        ("127.0.0.1", "localhost", "::1"), description="Host names served with cookie owners; * for any."
    )

    owner_rate_per_second: float = Field(1.0, gt=0, description="Submissions of one owner in the long run.")
    owner_burst_count: int = Field(100, ge=1, description="Submissions of one owner at once.")
    owner_count: int = Field(10_000, ge=1, description="Owners whose rate is kept; the longest idle is forgotten.")
    workers_group: str = Field("generation-workers", description="Consumer group of the workers.")
    worker_slot_count: int = Field(40, ge=1, description="Tasks that all workers together run at once.")
    expected_task_seconds: float = Field(20.0, gt=0, description="How long a task usually runs.")

    body_seconds: float = Field(10.0, gt=0, description="A body must have arrived within this time.")
    header_seconds: float = Field(10.0, gt=0, description="A request's header must have arrived within this time.")
    header_bytes: int = Field(32 << 10, ge=1024, description="How long a request's header may be.")
    connection_count: int = Field(1000, ge=1, description="Connections at once; more get 503.")
    drain_seconds: int = Field(10, ge=1, description="Requests in flight may end within this time after SIGTERM.")

    @property
    def topics(self) -> Topics:
        """The topics of this installation."""
        return Topics(self.topic_prefix, self.partition_count)

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if self.identity is Identity.LOCAL and not (self.allow_local_identity_on_network or _is_loopback(self.host)):
            raise ValueError(
                "identity=local gives everybody who can connect an owner: listen on 127.0.0.1, use identity=jwt, "
                "or set API_ALLOW_LOCAL_IDENTITY_ON_NETWORK=true"
            )
        if self.identity is Identity.JWT and not (self.jwt_public_key_file and self.jwt_audience and self.jwt_issuer):
            raise ValueError("identity=jwt needs API_JWT_PUBLIC_KEY_FILE, API_JWT_AUDIENCE and API_JWT_ISSUER")
        if self.ticket_ttl_seconds < self.start_deadline_seconds + self.run_deadline_seconds:
            raise ValueError("a ticket must last as long as a task may: raise API_TICKET_TTL_SECONDS")
        if (self.start_deadline_seconds + self.run_deadline_seconds) * 1000 > self.topics.cancellations.retention_ms:
            raise ValueError(
                "a task may not live longer than its cancellation is kept: lower API_START_DEADLINE_SECONDS"
            )
        if self.idempotency_window_seconds * 1000 > self.topics.requests.retention_ms:
            raise ValueError("API_IDEMPOTENCY_WINDOW_SECONDS is longer than the requests are kept")
        if self.public_url:
            _http_url(self.public_url)
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
