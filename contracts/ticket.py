"""Tickets: the right to read one task, or everything of one owner, for a time (JWT, RFC 7519, EdDSA after RFC 8037).

The API holds the private key; the relay has only the public one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from contracts.cursor import Position, parse_position
from contracts.errors import CursorError, TaskIdError, TicketExpired, TicketInvalid
from contracts.task import OwnerId, TaskId, parse_task_id

ISSUER = "draftstream"
AUDIENCE = "draftstream-relay"
MAX_TICKET_CHARACTERS = 2048
_ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who may read what until when; `start` is the position of the task's first event.

    Without `task_id` it is a ticket for everything of its owner.
    """

    owner: OwnerId
    expires_at: datetime
    task_id: TaskId | None = None
    start: Position | None = None


def load_private_key(pem: bytes) -> Ed25519PrivateKey:
    """Return the Ed25519 key of a PKCS #8 PEM text, or raise ValueError."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 private key")
    return key


def load_public_key(pem: bytes) -> Ed25519PublicKey:
    """Return the Ed25519 key of a SubjectPublicKeyInfo PEM text, or raise ValueError."""
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def sign_ticket(ticket: Ticket, key: Ed25519PrivateKey, *, now: datetime | None = None) -> str:
    """Return the ticket as text for a URL or an Authorization header."""
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": ticket.owner,
        "iat": now or datetime.now(UTC),
        "exp": ticket.expires_at,
    }
    if ticket.task_id is not None:
        claims["task"] = ticket.task_id
    if ticket.start is not None:
        claims["start"] = str(ticket.start)
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def verify_ticket(text: str, key: Ed25519PublicKey) -> Ticket:
    """Return the ticket of a text; raise TicketExpired or TicketInvalid."""
    if len(text) > MAX_TICKET_CHARACTERS:
        raise TicketInvalid("too long for a ticket")
    try:
        claims = jwt.decode(
            text,
            key,
            algorithms=[_ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": ["exp", "iat", "sub"]},
            leeway=5,
        )
        return _ticket(claims)
    except jwt.ExpiredSignatureError:
        raise TicketExpired("the ticket's time is over") from None
    except (jwt.PyJWTError, CursorError, TaskIdError, ValueError, TypeError, OverflowError):
        raise TicketInvalid("not a ticket of this system") from None


def _ticket(claims: dict[str, object]) -> Ticket:
    owner, task, start = claims["sub"], claims.get("task"), claims.get("start")
    if not isinstance(owner, str) or not isinstance(task, str | None) or not isinstance(start, str | None):
        raise TicketInvalid("not a ticket of this system")
    return Ticket(
        owner=OwnerId(owner),
        expires_at=datetime.fromtimestamp(cast("int", claims["exp"]), UTC),
        task_id=None if task is None else parse_task_id(task),
        start=None if start is None else parse_position(start),
    )
