"""Tickets, good ones and bad ones."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.cursor import Position
from contracts.task import OwnerId, TaskId
from contracts.ticket import AUDIENCE, ISSUER, Ticket, sign_ticket

Claims = dict[str, object]
_HEAD_HS256 = b'{"alg":"HS256","typ":"JWT"}'
_HEAD_NONE = b'{"alg":"none","typ":"JWT"}'


class TicketForge:
    """Signs tickets with the key whose public half the relay has, and forges others."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def for_task(self, task_id: TaskId, start: Position | None, owner: str, *, seconds: float = 600) -> str:
        return sign_ticket(Ticket(OwnerId(owner), _in(seconds), task_id, start), self._key)

    def for_owner(self, owner: str, *, seconds: float = 600) -> str:
        return sign_ticket(Ticket(OwnerId(owner), _in(seconds)), self._key)

    def bad(self, task_id: TaskId, start: Position, owner: str) -> dict[str, str]:
        """Return tickets that nobody may read with, but for one fault each of which would be good."""
        good = self.for_task(task_id, start, owner)
        claims = _claims(task_id, start, owner)
        head, body, signature = good.split(".")
        return {
            "wrong audience": self._sign(claims | {"aud": "somebody-else"}),
            "no audience": self._sign({name: value for name, value in claims.items() if name != "aud"}),
            "wrong issuer": self._sign(claims | {"iss": "somebody-else"}),
            "not valid yet (nbf)": self._sign(claims | {"nbf": _in(600)}),
            "issued in the future": self._sign(claims | {"iat": _in(600)}),
            "no expiry": self._sign({name: value for name, value in claims.items() if name != "exp"}),
            "alg none": _unsigned(claims),
            "alg HS256 with the public key": self._confused(claims),
            "wrong key": jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA"),
            "truncated": good[:-10],
            "no signature": f"{head}.{body}.",
            "another's body": f"{head}.{_base64(json.dumps({'sub': 'root'}).encode())}.{signature}",
            "not a token": "x",
            "3 KB": "x" * 3000,
        }

    def _sign(self, claims: Claims) -> str:
        return jwt.encode(claims, self._key, algorithm="EdDSA")

    def _confused(self, claims: Claims) -> str:
        """Sign with the public key as if it were a shared secret."""
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signed = f"{_base64(_HEAD_HS256)}.{_body(claims)}"
        return f"{signed}.{_base64(hmac.digest(public, signed.encode(), hashlib.sha256))}"


def _claims(task_id: TaskId, start: Position, owner: str) -> Claims:
    now = datetime.now(UTC)
    times: Claims = {"iat": now, "exp": _in(600)}
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": owner, "task": task_id, "start": str(start), **times}


def _unsigned(claims: Claims) -> str:
    return f"{_base64(_HEAD_NONE)}.{_body(claims)}."


def _body(claims: Claims) -> str:
    plain = {name: int(value.timestamp()) if isinstance(value, datetime) else value for name, value in claims.items()}
    return _base64(json.dumps(plain).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
