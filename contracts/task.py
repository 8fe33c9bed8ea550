"""Task ids: 128 bits, written as 32 lower-case hexadecimal digits."""

import hashlib
import hmac
import re
import secrets
from typing import NewType

from contracts.errors import TaskIdError

TaskId = NewType("TaskId", str)
OwnerId = NewType("OwnerId", str)

_TASK_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def new_task_id() -> TaskId:
    """Return a random task id."""
    return TaskId(secrets.token_hex(16))


def task_id_for(owner: OwnerId, idempotency_key: str, secret: bytes) -> TaskId:
    """Return the one task id of an owner's idempotency key, so that a retry reaches the same task.

    Keyed (HMAC-SHA-256, RFC 2104), so that nobody else can compute or aim at it.
    """
    message = f"{len(owner)}:{owner}{idempotency_key}".encode()
    return TaskId(hmac.digest(secret, message, hashlib.sha256)[:16].hex())


def parse_task_id(text: str) -> TaskId:
    """Return `text` as a task id, or raise TaskIdError."""
    if not _TASK_ID.fullmatch(text):
        raise TaskIdError("a task id has 32 lower-case hexadecimal digits")
    return TaskId(text)
