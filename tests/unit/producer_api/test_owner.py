from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from producer_api.errors import InvalidRequest, NotAuthenticated
from producer_api.owner import COOKIE, Credentials, JwtIdentity, LocalIdentity
from producer_api.settings import JwtAlgorithm

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
AUDIENCE, ISSUER = "draftstream", "https://school.example"


def cookie_of(set_cookie: str) -> str:
    return set_cookie.partition(";")[0]


def test_a_first_request_gets_an_owner_that_its_cookie_brings_back() -> None:
    identity = LocalIdentity(b"s" * 32)
    first = identity.identify(Credentials())
    assert len(first.owner) == 32
    assert first.set_cookie.startswith(f"{COOKIE}={first.owner}.")
    assert first.set_cookie.endswith("; HttpOnly; SameSite=Strict")
    again = identity.identify(Credentials(cookie=["theme=dark; " + cookie_of(first.set_cookie)]))
    assert (again.owner, again.set_cookie) == (first.owner, "")


def test_over_https_the_cookie_is_secure() -> None:
    assert LocalIdentity(b"s" * 32).identify(Credentials(secure=True)).set_cookie.endswith("; Secure")


FORGERIES: dict[str, Callable[[str], str]] = {
    "no signature": lambda value: value.partition(".")[0],
    "another owner": lambda value: "0" * 32 + value[32:],
    "a changed signature": lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"),
    "cut off": lambda value: value[:-1],
    "upper case": str.upper,
    "64 KB": lambda value: value * 700,
    "nothing": lambda value: "",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_cookie_is_nobodys(forge: Callable[[str], str]) -> None:
    identity = LocalIdentity(b"s" * 32)
    real = identity.identify(Credentials())
    value = cookie_of(real.set_cookie).partition("=")[2]
    forged = identity.identify(Credentials(cookie=[f"{COOKIE}={forge(value)}"]))
    assert forged.owner != real.owner
    assert forged.set_cookie


def test_a_cookie_of_another_installation_is_nobodys() -> None:
    real = LocalIdentity(b"s" * 32).identify(Credentials())
    other = LocalIdentity(b"t" * 32).identify(Credentials(cookie=[cookie_of(real.set_cookie)]))
    assert other.owner != real.owner


def test_a_cookie_that_another_page_put_in_front_does_not_hide_the_real_one() -> None:
    identity = LocalIdentity(b"s" * 32)
    real = identity.identify(Credentials())
    both = identity.identify(Credentials(cookie=[f"{COOKIE}=evil; {cookie_of(real.set_cookie)}"]))
    assert both.owner == real.owner


def bearer(identity_key: Any = KEY, algorithm: str = "EdDSA", **changes: Any) -> str:
    claims = {
        "sub": "teacher-7",
        "aud": AUDIENCE,
        "iss": ISSUER,
        "exp": datetime.now(UTC) + timedelta(minutes=5),
    } | changes
    return "Bearer " + jwt.encode({k: v for k, v in claims.items() if v is not ...}, identity_key, algorithm)


@pytest.fixture
def identity() -> JwtIdentity:
    return JwtIdentity(PUBLIC, JwtAlgorithm.EDDSA, AUDIENCE, ISSUER)


def test_the_subject_of_a_valid_token_is_the_owner(identity: JwtIdentity) -> None:
    identified = identity.identify(Credentials(authorization=[bearer()]))
    assert (identified.owner, identified.set_cookie) == ("teacher-7", "")


REFUSED: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "another scheme": lambda: "Basic dGVhY2hlcjo=",
    "an empty token": lambda: "Bearer ",
    "no token at all": lambda: "Bearer x.y.z",
    "expired": lambda: bearer(exp=datetime.now(UTC) - timedelta(minutes=1)),
    "not valid yet": lambda: bearer(nbf=datetime.now(UTC) + timedelta(minutes=1)),
    "for somebody else": lambda: bearer(aud="other"),
    "from somebody else": lambda: bearer(iss="https://evil.example"),
    "without a subject": lambda: bearer(sub=...),
    "without an end": lambda: bearer(exp=...),
    "with an empty subject": lambda: bearer(sub=""),
    "with a subject of other characters": lambda: bearer(sub="선생님\n"),
    "with a long subject": lambda: bearer(sub="x" * 129),
    "with an end that is no time": lambda: bearer(exp="tomorrow"),
    "signed by another key": lambda: bearer(Ed25519PrivateKey.generate()),
    "signed with the public key as a secret": lambda: "Bearer " + jwt.api_jws.encode(b"{}", "s" * 32, "HS256"),
    "not signed": lambda: bearer(None, "none"),
    "cut off": lambda: bearer()[:-9],
    "64 KB": lambda: "Bearer " + "x" * 65_536,
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_every_bad_token_gets_the_same_kind_of_answer(identity: JwtIdentity, make: Callable[[], str]) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        identity.identify(Credentials(authorization=[make()]))
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize("local", [True, False])
def test_two_authorizations_are_refused(identity: JwtIdentity, local: bool) -> None:
    either = LocalIdentity(b"s" * 32) if local else identity
    with pytest.raises(InvalidRequest) as refused:
        either.identify(Credentials(authorization=[bearer(), bearer()]))
    assert refused.value.field == "Authorization"


def test_a_key_of_another_kind_is_refused_at_the_start() -> None:
    other = generate_private_key(SECP256R1()).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="EdDSA"):
        JwtIdentity(pem, JwtAlgorithm.EDDSA, AUDIENCE, ISSUER)
    key = generate_private_key(SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    identity = JwtIdentity(pem, JwtAlgorithm.ES256, AUDIENCE, ISSUER)
    assert identity.identify(Credentials(authorization=[bearer(key, "ES256")])).owner == "teacher-7"
