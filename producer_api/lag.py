"""How many tasks wait for the workers."""

from collections.abc import Mapping


def queue_lag(
    committed: Mapping[int, int] | None, ends: Mapping[int, int], first_offsets: Mapping[int, int]
) -> int | None:
    """Return the requests that no worker has committed, or None when that cannot be known.

    A partition without a commit counts from the window's beginning; without any commit the group is not known.
    """
    if not committed or not ends:
        return None
    return sum(max(0, end - committed.get(n, first_offsets.get(n, end))) for n, end in ends.items())
