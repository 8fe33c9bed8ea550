"""Who may read: tickets from a request, checked with the public key only."""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.errors import TicketExpired, TicketInvalid
from contracts.ticket import Ticket, verify_ticket
from sse_relay.errors import BadRequest, TicketOutdated, TicketRefused

_MAX_REMEMBERED = 10_000
RawHeaders = Iterable[tuple[bytes, bytes]]


class Authorisation:
    """Verifies tickets.

    Good ones are remembered, those that were asked for last, because clients reconnect with the same one and a
    signature costs as much as the rest of a reconnect. What is kept of a ticket's text is its digest.
    """

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self._good: dict[bytes, Ticket] = {}

    def verify(self, headers: RawHeaders, query: bytes) -> Ticket:
        """Return a request's ticket, from `Authorization: Bearer` or else `?ticket=`; raise a Refusal."""
        text = _bearer(headers) or one_parameter(query, "ticket")
        if not text:
            raise TicketRefused("no ticket")
        digest = sha256(text.encode()).digest()
        ticket = self._good.pop(digest, None) or self._check(text)
        if ticket.expires_at < datetime.now(UTC):
            raise TicketOutdated("expired")
        if len(self._good) >= _MAX_REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[digest] = ticket
        return ticket

    def _check(self, text: str) -> Ticket:
        try:
            return verify_ticket(text, self._key)
        except TicketExpired:
            raise TicketOutdated("expired") from None
        except TicketInvalid:
            raise TicketRefused("not a ticket of ours") from None


def one_header(headers: RawHeaders, name: bytes) -> str:
    """Return a header's value, or an empty text; raise BadRequest when it is there twice."""
    values = [value for key, value in headers if key == name]
    if len(values) > 1:
        raise BadRequest(name.decode())
    return values[0].decode("latin-1").strip() if values else ""


def one_parameter(query: bytes, name: str) -> str:
    """Return a parameter of the query, or an empty text; raise BadRequest when it is there twice."""
    try:
        values = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32).get(name, [])
    except ValueError:
        raise BadRequest("query") from None
    if len(values) > 1:
        raise BadRequest(name)
    return values[0] if values else ""


def _bearer(headers: RawHeaders) -> str:
    value = one_header(headers, b"authorization")
    scheme, _, text = value.partition(" ")
    if value and scheme.lower() != "bearer":
        raise TicketRefused("not a bearer ticket")
    return text.strip()
