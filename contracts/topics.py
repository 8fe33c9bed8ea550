"""The topics, declared once. `python -m deploy.topics` creates and checks them; nothing else ever does."""

from dataclasses import dataclass, field

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name, how long its records are kept, and what differs from the broker's defaults."""

    name: str
    retention_ms: int
    config: dict[str, str] = field(default_factory=dict)

    def settings(self, min_insync_replicas: int) -> dict[str, str]:
        """Return the topic's configuration as Kafka's own names and values."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "min.insync.replicas": str(min_insync_replicas),
            # Times are ours, and a hostile or wrong one must not decide about retention.
            "message.timestamp.type": "LogAppendTime",
            "segment.bytes": str(64 << 20),
            **self.config,
        }


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one installation. Same partition count and same key everywhere: a task stays on one partition."""

    prefix: str = "generation"
    partition_count: int = 12

    @property
    def requests(self) -> Topic:
        """Commands of the API to the workers; kept for the window in which an idempotency key is remembered."""
        return Topic(f"{self.prefix}.requests", DAY_MS)

    @property
    def cancellations(self) -> Topic:
        """Commands to stop a task."""
        return Topic(f"{self.prefix}.cancellations", DAY_MS)

    @property
    def events(self) -> Topic:
        """Everything that happens to a task; the only truth about it."""
        return Topic(f"{self.prefix}.events", DAY_MS, {"segment.ms": str(HOUR_MS)})

    @property
    def results(self) -> Topic:
        """One record per finished task, for analytics: a view of the events."""
        return Topic(f"{self.prefix}.results", 30 * DAY_MS)

    @property
    def dead_letters(self) -> Topic:
        """Records that could not be used, with the reason and their original bytes."""
        return Topic(f"{self.prefix}.dead-letters", 30 * DAY_MS)

    def all(self) -> tuple[Topic, ...]:
        """Return every topic."""
        return (self.requests, self.cancellations, self.events, self.results, self.dead_letters)
