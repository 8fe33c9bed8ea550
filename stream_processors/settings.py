"""Settings of the worker and of the projector, read once, by `__main__`, from the environment."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.topics import Topics

Seconds = Annotated[float, Field(gt=0)]


class KafkaSettings(BaseSettings):
    """Where Kafka is and what the topics are called."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    bootstrap: str = Field("127.0.0.1:9092", description="HOST:PORT[,HOST:PORT…] of the brokers")
    topic_prefix: str = Field("generation", description="what all topic names begin with")
    partition_count: int = Field(12, gt=0, description="partitions of every topic; must be what exists")
    health_host: str = Field("127.0.0.1", description="address for livez, readyz and metrics")
    health_port: int = Field(0, ge=0, le=65535, description="port for livez, readyz and metrics; 0 is a free one")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @property
    def topics(self) -> Topics:
        """The topics of this installation."""
        return Topics(self.topic_prefix, self.partition_count)


class WorkerSettings(KafkaSettings):
    """The worker's settings."""

    model_config = SettingsConfigDict(env_prefix="WORKER_", frozen=True, extra="ignore")

    group: str = Field("generation-workers", description="consumer group of the workers")
    instance_id: str = Field("", description="static membership: unique for each live worker; empty for none")
    name: str = Field("worker", description="what log lines and record sources call this worker; no spaces")

    slots: int = Field(50, gt=0, description="tasks at once")
    slots_per_partition: int = Field(20, gt=0, description="tasks of one partition at once, so that none starves")
    look_ahead: int = Field(32, gt=0, description="requests read ahead of a partition before it is not fetched from")
    child_slots: int = Field(12, gt=0, description="tasks at once in processes of their own, after crashes")

    drain_seconds: float = Field(30, ge=0, le=30, description="time for running tasks to end after SIGTERM")
    session_seconds: Seconds = Field(15, description="time after which Kafka gives a silent worker's partitions away")
    heartbeat_seconds: Seconds = Field(2, description="time between heartbeats; at most a third of the session")
    rebalance_seconds: float = Field(90, ge=90, description="time for all workers to join a rebalance")
    commit_seconds: Seconds = Field(1, description="time between commits")
    commit_timeout_seconds: Seconds = Field(10, description="time after which a commit counts as failed")
    commit_failure_limit: int = Field(5, gt=0, description="failed commits in a row before readiness is red")

    @model_validator(mode="after")
    def _refuse_unsafe_combinations(self) -> "WorkerSettings":
        if self.heartbeat_seconds * 3 > self.session_seconds:
            raise ValueError("heartbeat_seconds must be at most a third of session_seconds")
        return self


class ProjectorSettings(KafkaSettings):
    """The projector's settings."""

    model_config = SettingsConfigDict(env_prefix="PROJECTOR_", frozen=True, extra="ignore")

    group: str = Field("generation-projectors", description="consumer group, and prefix of the transactional ids")
    session_seconds: Seconds = Field(
        15, description="time after which Kafka gives a silent projector's partitions away"
    )
    ended_window_seconds: Seconds = Field(21_600, description="how long an ended task is remembered")
    reap_grace_seconds: Seconds = Field(30, description="time behind a task's deadline before it is ended from outside")
    commit_seconds: Seconds = Field(5, description="time between commits while no task ends")
