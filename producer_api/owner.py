"""Who the caller is: a port, and two ways to know."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from contracts.task import OwnerId
from producer_api.errors import InvalidRequest, NotAuthenticated
from producer_api.settings import JwtAlgorithm

COOKIE = "draftstream_owner"
MAX_TOKEN_CHARACTERS = 8192
_COOKIE_SECONDS = 400 * 86_400
_SIGNED = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})", re.ASCII)
_SUBJECT = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_KEY_TYPES: dict[JwtAlgorithm, type] = {
    JwtAlgorithm.EDDSA: Ed25519PublicKey,
    JwtAlgorithm.ES256: EllipticCurvePublicKey,
    JwtAlgorithm.RS256: RSAPublicKey,
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The header values that an owner may be read from."""

    authorization: Sequence[str] = ()
    cookie: Sequence[str] = ()
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Identified:
    """An owner, and the cookie to set when they are new."""

    owner: OwnerId
    set_cookie: str = ""


class OwnerIdentity(Protocol):
    """Reads the owner of a request."""

    def identify(self, credentials: Credentials) -> Identified:
        """Return the owner, or raise NotAuthenticated or InvalidRequest."""
        ...


class LocalIdentity:
    """A random owner in a signed cookie, made at the first request."""

    def __init__(self, secret: bytes) -> None:
        # A key of its own: what signs cookies computes no task ids.
        self._key = hmac.digest(secret, b"owner cookie", hashlib.sha256)

    def identify(self, credentials: Credentials) -> Identified:
        """Return the owner of the cookie; a missing or forged one is replaced by a new owner's."""
        _only_one(credentials.authorization, "Authorization")
        for value in _cookies(credentials.cookie):
            match = _SIGNED.fullmatch(value)
            if match and hmac.compare_digest(match[2], self._sign(match[1])):
                return Identified(OwnerId(match[1]))
        owner = secrets.token_hex(16)
        cookie = f"{COOKIE}={owner}.{self._sign(owner)}; Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Strict"
        return Identified(OwnerId(owner), cookie + ("; Secure" if credentials.secure else ""))

    def _sign(self, owner: str) -> str:
        return hmac.digest(self._key, owner.encode(), hashlib.sha256).hex()


class JwtIdentity:
    """The `sub` of a bearer token (JWT, RFC 7519) of one issuer, with one algorithm."""

    def __init__(self, public_key_pem: bytes, algorithm: JwtAlgorithm, audience: str, issuer: str) -> None:
        key = load_pem_public_key(public_key_pem)
        if not isinstance(key, _KEY_TYPES[algorithm]):
            raise ValueError(f"the public key is not one for {algorithm}")
        self._key: Any = key  # PyJWT's union of key types is private
        self._algorithm = algorithm
        self._audience = audience
        self._issuer = issuer

    def identify(self, credentials: Credentials) -> Identified:
        """Return the token's subject, or raise NotAuthenticated; every bad token answers alike."""
        header = _only_one(credentials.authorization, "Authorization")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_CHARACTERS:
            raise NotAuthenticated("send Authorization: Bearer TOKEN")
        try:
            claims = jwt.decode(
                token.strip(),
                self._key,
                algorithms=[self._algorithm],
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", "sub"]},
                leeway=5,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise NotAuthenticated("the token is not valid here") from None
        subject = claims["sub"]
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise NotAuthenticated("the token is not valid here")
        return Identified(OwnerId(subject))


def _only_one(values: Sequence[str], header: str) -> str:
    if len(values) > 1:
        raise InvalidRequest(header, "is given twice")
    return values[0] if values else ""


def _cookies(headers: Sequence[str]) -> list[str]:
    found = []
    for header in headers:
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                found.append(value)
    return found
