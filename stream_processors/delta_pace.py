"""The pace of deltas: how long text is joined before it is published, the same for every version in a process."""

_SHORTEST_SECONDS = 0.05
_LONGEST_SECONDS = 0.25
_RECORDS_PER_SECOND = 600.0


class DeltaPace:
    """Grows the time of joining with the number of versions that stream at once.

    A reader sees no difference between 50 ms and less, but each record costs the worker, the broker, the relay and the
    projector about as much as the words in it are read for. So up to 30 versions are joined for 50 ms each, more share
    600 delta records a second among them, and from 150 on (three for each of fifty slots) each is joined for 250 ms.
    """

    def __init__(
        self,
        *,
        shortest_seconds: float = _SHORTEST_SECONDS,
        longest_seconds: float = _LONGEST_SECONDS,
        records_per_second: float = _RECORDS_PER_SECOND,
    ) -> None:
        self._shortest_seconds = shortest_seconds
        self._longest_seconds = longest_seconds
        self._records_per_second = records_per_second
        self._streaming_count = 0

    @property
    def seconds(self) -> float:
        """How long after its last delta a version's text is joined now."""
        shared = self._streaming_count / self._records_per_second
        return min(self._longest_seconds, max(self._shortest_seconds, shared))

    def join(self) -> None:
        """Count one more version that streams."""
        self._streaming_count += 1

    def leave(self) -> None:
        """Count one less."""
        self._streaming_count -= 1
