import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.cursor import Position
from contracts.errors import TicketExpired, TicketInvalid
from contracts.task import OwnerId, TaskId
from contracts.ticket import Ticket, sign_ticket, verify_ticket

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
TASK = Ticket(OwnerId("o"), SOON, TaskId("0" * 32), Position(3, 1041))


@pytest.mark.parametrize("ticket", [TASK, Ticket(OwnerId("o"), SOON)])
def test_a_ticket_reads_what_it_writes(ticket: Ticket) -> None:
    assert verify_ticket(sign_ticket(ticket, KEY), PUBLIC) == ticket


def test_an_expired_ticket_says_so() -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    with pytest.raises(TicketExpired):
        verify_ticket(sign_ticket(Ticket(OwnerId("o"), past), KEY, now=past), PUBLIC)


def unsigned(claims: dict[str, object]) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def claims(**changes: object) -> dict[str, object]:
    now = int(datetime.now(UTC).timestamp())
    full: dict[str, object] = {
        "iss": "draftstream", "aud": "draftstream-relay", "sub": "o", "iat": now, "exp": now + 86_400
    }  # fmt: skip
    return {name: value for name, value in (full | changes).items() if value is not None}


GOOD = sign_ticket(TASK, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "a.b.c", GOOD[:-4], GOOD + "x", GOOD.replace(".", "", 1), "x" * 65_536, "é.é.é",
        unsigned(claims()),
        jwt.encode(claims(), "a secret that is long enough to be one", algorithm="HS256"),
        sign_ticket(TASK, Ed25519PrivateKey.generate()),
        *(jwt.encode(claims(**bad), KEY, algorithm="EdDSA") for bad in (
            {"aud": "other"}, {"aud": None}, {"iss": "other"}, {"exp": None}, {"sub": None}, {"sub": 7},
            {"iat": None}, {"nbf": 2**33}, {"task": "x"}, {"task": 7}, {"start": "3-x"}, {"start": 3}, {"exp": 10**30},
        )),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(TicketInvalid):
        verify_ticket(text, PUBLIC)
