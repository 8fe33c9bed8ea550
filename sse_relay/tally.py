"""Counters, kept as plain numbers: one addition per batch or per stream, never one per event and viewer."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What has happened since the start. `record_count` is the sum of the applied, the ignored and the skipped."""

    record_count: int = 0
    applied_count: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    """Records that the judge refuses, by verdict."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Records that cannot be used, by reason."""
    batch_count: int = 0
    stream_count: Counter[str] = field(default_factory=Counter)
    """Streams that were opened, by what they began with."""
    ended: Counter[str] = field(default_factory=Counter)
    """Streams that the relay ended, by reason."""
    gap_count: int = 0
    heartbeat_count: int = 0
    archive: Counter[str] = field(default_factory=Counter)
    """Old tasks asked for, by outcome."""
    kafka_errors: Counter[str] = field(default_factory=Counter)
    reset_count: int = 0
    """Partitions that began anew because their records were gone."""
    sealed_count: int = 0
    evicted_count: int = 0
    trimmed_count: int = 0
