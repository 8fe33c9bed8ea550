"""The keys of one machine: a pair for tickets (Ed25519) and a secret for task ids and cookies. Made once, kept."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


@dataclass(frozen=True, slots=True)
class Keys:
    """Files that only this user can read, but for the public key."""

    ticket_private: Path
    ticket_public: Path
    secret: Path


def keys_in(folder: Path) -> Keys:
    """Return the keys of a folder, after making those that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = Keys(folder / "ticket.pem", folder / "ticket.pub.pem", folder / "secret")
    if not keys.ticket_private.exists() or not keys.ticket_public.exists():
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write(keys.ticket_public, public)
        _write(keys.ticket_private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if not keys.secret.exists():
        _write(keys.secret, secrets.token_bytes(32))
    return keys


def _write(path: Path, content: bytes) -> None:
    """Write whole or not at all, readable by this user only."""
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)
