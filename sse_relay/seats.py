"""Seats: how many streams may be open, in this process and for one owner."""

from contracts.task import OwnerId
from sse_relay.errors import Overload


class Seat:
    """The right to one open stream; given back once, however often it is released."""

    __slots__ = ("_seats", "owner")

    def __init__(self, seats: "Seats", owner: OwnerId) -> None:
        self._seats: Seats | None = seats
        self.owner = owner

    def release(self) -> None:
        """Give the seat back."""
        if self._seats is not None:
            seats, self._seats = self._seats, None
            seats.release(self.owner)


class Seats:
    """Counts open streams. Overflow policy: the new one is told `overloaded`."""

    def __init__(self, total: int, per_owner: int) -> None:
        self._total = total
        self._per_owner = per_owner
        self._taken: dict[OwnerId, int] = {}
        self.taken_count = 0

    def take(self, owner: OwnerId) -> Seat:
        """Return a seat, or raise Overload."""
        taken = self._taken.get(owner, 0)
        if self.taken_count >= self._total:
            raise Overload("relay_full")
        if taken >= self._per_owner:
            raise Overload("too_many_streams")
        self._taken[owner] = taken + 1
        self.taken_count += 1
        return Seat(self, owner)

    def release(self, owner: OwnerId) -> None:
        """Count one stream of an owner less."""
        self.taken_count -= 1
        if self._taken[owner] == 1:
            del self._taken[owner]
        else:
            self._taken[owner] -= 1
