"""Settings of the relay, read once from the environment (`RELAY_…`)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.topics import Topics

_MAX_PARTITIONS = 150
"""More could make a composite cursor longer than a cursor may be."""


class Settings(BaseSettings):
    """Everything that can be set, with its unit in its name."""

    model_config = SettingsConfigDict(env_prefix="RELAY_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8001, ge=0, le=65_535)
    """Port to listen on."""
    bootstrap: str = "127.0.0.1:9092"
    """Kafka brokers, HOST:PORT, several with commas."""
    topic_prefix: str = "generation"
    """What stands before `.events`."""
    partition_count: int = Field(default=12, ge=1, le=_MAX_PARTITIONS)
    """Partitions of the topic."""
    partitions: Annotated[tuple[int, ...], NoDecode] = ()
    """This shard's partitions, with commas; empty for all."""
    ticket_public_key_file: Path
    """Ed25519 public key (PEM) of those who sign tickets."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ("http://127.0.0.1:8000", "http://localhost:8000")
    """Web origins that may read, exactly as browsers send them, with commas."""

    look_back_seconds: float = Field(default=86_400, gt=0)
    """How far back reading starts; normally the topic's retention."""
    history_bytes: int = Field(default=256 << 20, ge=1 << 20)
    """Logs in memory, all together."""
    task_bytes: int = Field(default=8 << 20, ge=1 << 16)
    """The log of one task; the older half goes when it is longer."""
    catch_up_seconds: float = Field(default=10, gt=0)
    """How long a ticket or cursor that is ahead of this relay waits."""

    max_streams: int = Field(default=20_000, ge=1)
    """Open streams of this process."""
    max_streams_per_owner: int = Field(default=100, ge=1)
    """Open streams of one owner."""
    max_archive_reads: int = Field(default=2, ge=1)
    """Old tasks that are read from Kafka at the same time."""
    max_archive_queue: int = Field(default=64, ge=1)
    """Old tasks that wait to be read."""
    archive_seconds: float = Field(default=20, gt=0)
    """How long reading one old task may take."""

    heartbeat_seconds: float = Field(default=15, gt=0)
    """A comment is sent after so long a silence."""
    slow_reader_seconds: float = Field(default=30, gt=0)
    """A peer that has not read for so long is evicted."""
    lifetime_seconds: float = Field(default=1500, gt=0)
    """A stream ends after this, give or take a fifth; its client reconnects."""
    drain_seconds: float = Field(default=10, gt=0)
    """From SIGTERM until what is still open is cut off."""
    drain_notice_seconds: float = Field(default=0, ge=0)
    """From SIGTERM until streams are ended, so that a gateway can see that this relay is not ready."""
    retry_ms: int = Field(default=1000, ge=1)
    """How long a client waits before it reconnects, at least; at most three times as long."""
    overload_retry_ms: int = Field(default=30_000, ge=1)
    """The same, when there is no room."""

    socket_buffer_bytes: int = Field(default=65_536, ge=4096)
    """The kernel's send buffer for each connection."""
    backlog: int = Field(default=4096, ge=1)
    """Connections that wait to be accepted."""
    stream_mode: Literal["take-over", "asgi"] = "take-over"
    """`take-over`: streams leave the HTTP server after the handshake; `asgi`: they stay in it, at twice the cost."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of log events."""

    @field_validator("partitions", mode="before")
    @classmethod
    def _split_partitions(cls, value: object) -> object:
        return tuple(int(part) for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _refuse_wildcards(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("*" in origin or origin == "null" for origin in value):
            raise ValueError("origins are exact: no wildcard, no null")
        return value

    @model_validator(mode="after")
    def _check_partitions(self) -> "Settings":
        if any(not 0 <= number < self.partition_count for number in self.partitions):
            raise ValueError("partitions must be smaller than partition_count")
        if self.task_bytes > self.history_bytes:
            raise ValueError("task_bytes must not be larger than history_bytes")
        return self

    @property
    def topic(self) -> str:
        """Name of the events topic."""
        return Topics(self.topic_prefix, self.partition_count).events.name

    @property
    def own_partitions(self) -> tuple[int, ...]:
        """The partitions that this relay reads."""
        return tuple(sorted(set(self.partitions))) or tuple(range(self.partition_count))
