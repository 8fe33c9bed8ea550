"""Hostile HTTP and hostile bodies against a real server. No Kafka runs here: what is refused needs none."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.ticket import load_public_key, verify_ticket
from deploy.local.ports import free_ports
from producer_api.settings import Identity, Settings
from tests.support.producer_api import SUBMISSION, serve, write_keys

SECRET = "비밀스러운메모"
LIMIT = 64 << 10


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    return Settings(
        bootstrap=nobody,
        header_seconds=0.5,
        body_seconds=0.5,
        kafka_check_seconds=30,
        **write_keys(tmp_path_factory.mktemp("keys")),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with serve(settings) as client:
        yield client


def assert_problem(answer: httpx2.Response, status: int, slug: str, field: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (f"/problems/{slug}", status)
    assert problem.get("field") == field
    assert SECRET not in answer.text


async def exchange(client: httpx2.AsyncClient, *pieces: bytes) -> bytes:
    """Send bytes on a connection of their own and return all that comes back until the server closes it."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def head(*lines: str, path: str = "/v1/tasks", method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *lines, "", ""]).encode()


async def test_a_valid_submission_without_kafka_gets_503_with_a_time_to_come_back(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=SUBMISSION)
    assert_problem(answer, 503, "kafka-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "draftstream_owner=" in answer.headers["set-cookie"]


async def test_the_process_lives_without_kafka_and_says_that_it_is_not_ready(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")


BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "body"),
    "an array": (b"[]", "body"),
    "fifty thousand brackets": (b"[" * 50_000, "body"),
    "not UTF-8": (b'{"notes": "\xff"}', "body"),
    "NaN": (b'{"item": "subject", "notes": "a", "target_ratio": NaN}', "body"),
    "ten thousand digits": (b'{"version_count": ' + b"1" * 10_000 + b"}", "body"),
    "a name twice": (b'{"notes": "a", "notes": "b"}', "notes"),
    "an escaped surrogate": (b'{"item": "subject", "notes": "\\ud800"}', "notes"),
    "text for a number": (b'{"item": "subject", "notes": "a", "version_count": "500"}', "version_count"),
    "a float for a count": (b'{"item": "subject", "notes": "a", "version_count": 5.0}', "version_count"),
    "an unknown field": (json.dumps({**SUBMISSION, SECRET: SECRET}).encode(), "body"),
    "too long notes": (json.dumps({**SUBMISSION, "notes": SECRET * 3000}, ensure_ascii=False).encode(), "notes"),
    "blank notes": (json.dumps({**SUBMISSION, "notes": " \u200b"}).encode(), "notes"),
    "an unknown item": (json.dumps({**SUBMISSION, "item": SECRET}).encode(), "item"),
    "an item of another level": (b'{"item": "volunteer", "school_level": "middle", "notes": "a"}', "item"),
    "an unknown year": (b'{"item": "subject", "notes": "a", "school_year": 1999}', "school_year"),
}


@pytest.mark.parametrize(("body", "field"), BODIES.values(), ids=BODIES.keys())
async def test_a_bad_body_is_a_problem_that_names_the_field(
    client: httpx2.AsyncClient, body: bytes, field: str
) -> None:
    answer = await client.post("/v1/tasks", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, "invalid-request", field)


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=euc-kr",
        "application/jsonp",
        "application/problem+json",
        "text/json",
        "*/*",
    ],
)
async def test_every_media_type_but_json_is_refused(client: httpx2.AsyncClient, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = await client.post("/v1/tasks", content=json.dumps(SUBMISSION).encode(), headers=headers)
    assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_json_is_taken_however_it_is_written(client: httpx2.AsyncClient, media_type: str) -> None:
    body = json.dumps(SUBMISSION).encode()
    answer = await client.post("/v1/tasks", content=body, headers={"Content-Type": media_type})
    assert_problem(answer, 503, "kafka-unavailable")


async def test_a_compressed_body_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert_problem(await client.post("/v1/tasks", content=b"\x1f\x8b", headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "Content-Type"])
async def test_a_header_given_twice_is_refused_by_its_name(client: httpx2.AsyncClient, name: str) -> None:
    value = "application/json" if name == "Content-Type" else "a"
    headers = [(name, value), (name, value)]
    if name != "Content-Type":
        headers.append(("Content-Type", "application/json"))
    answer = await client.post("/v1/tasks", content=json.dumps(SUBMISSION).encode(), headers=headers)
    assert_problem(answer, 400, "invalid-request", name)


async def test_a_bad_idempotency_key_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=SUBMISSION, headers={"Idempotency-Key": "x" * 129})
    assert_problem(answer, 400, "invalid-request", "Idempotency-Key")


async def test_a_body_over_the_limit_is_refused_by_its_announced_length(client: httpx2.AsyncClient) -> None:
    answer = await exchange(client, head("Content-Type: application/json", f"Content-Length: {LIMIT + 1}"))
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_over_the_limit_without_a_length_is_refused(client: httpx2.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b" " * 1024

    answer = await client.post("/v1/tasks", content=pieces(), headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "body-too-large")


async def test_a_body_of_exactly_the_limit_is_read(client: httpx2.AsyncClient) -> None:
    body = json.dumps(SUBMISSION).encode().ljust(LIMIT)
    answer = await client.post("/v1/tasks", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 503, "kafka-unavailable")


async def test_a_body_shorter_than_announced_is_not_waited_for_for_ever(client: httpx2.AsyncClient) -> None:
    answer = await exchange(client, head("Content-Type: application/json", "Content-Length: 100"), b'{"item":')
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_client_that_hangs_up_in_mid_body_disturbs_nobody(client: httpx2.AsyncClient) -> None:
    _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(head("Content-Type: application/json", "Content-Length: 100") + b'{"item":')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await client.get("/livez")).status_code == 200


BROKEN: dict[str, bytes] = {
    "both length headers": head("Content-Length: 2", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "two lengths": head("Content-Length: 2", "Content-Length: 3") + b"{}",
    "a length that is no number": head("Content-Length: two") + b"{}",
    "a bad chunk": head("Content-Type: application/json", "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "a NUL in a header": head("X-A: a\x00b", "Content-Length: 0"),
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_http_is_refused(client: httpx2.AsyncClient, raw: bytes) -> None:
    answer = await exchange(client, raw)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 415"))
    assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"POST /v1/tasks HTTP/1.1\r\nHost: local"])
async def test_a_silent_client_is_sent_away(client: httpx2.AsyncClient, sent: bytes) -> None:
    assert await exchange(client, sent) == b""


HUGE: dict[str, bytes] = {
    "a header of 40 KB": head("X-A: " + "a" * 40_000),
    "two thousand headers": head(*[f"X-{n}: {'a' * 16}" for n in range(2000)]),
    "a URL of 70 KB": head(path="/" + "a" * 70_000, method="GET"),
}


@pytest.mark.parametrize("raw", HUGE.values(), ids=HUGE.keys())
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_header_over_the_limit_is_refused(client: httpx2.AsyncClient, raw: bytes, at_once: bool) -> None:
    pieces = [raw] if at_once else [raw[start : start + 4096] for start in range(0, len(raw), 4096)]
    answer = await exchange(client, *pieces)
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""  # closed before all was sent: the kernel resets
    assert (await client.get("/livez")).status_code == 200


async def test_a_header_of_twenty_kilobytes_is_read(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/livez", headers={"X-A": "a" * 20_000})).status_code == 200


async def test_one_connection_carries_many_requests_however_long_their_headers_are_together(
    client: httpx2.AsyncClient,
) -> None:
    for _ in range(5):
        assert (await client.get("/livez", headers={"X-A": "a" * 20_000})).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "HEAD"])
async def test_a_wrong_method_is_told_the_right_one(client: httpx2.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/v1/tasks")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/tasks", "/v1/tasks/", "/%00", "/..%2f..%2fetc%2fpasswd"])
async def test_an_unknown_path_is_not_found(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code in {404, 405}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_page_of_another_origin_may_not_write(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/tasks", "/v1/tickets", f"/v1/tasks/{'0' * 32}/cancel"):
        answer = await client.post(path, json=SUBMISSION, headers={"Origin": "http://127.0.0.1:9"})
        assert_problem(answer, 403, "origin-refused")


async def test_a_name_that_somebody_pointed_at_this_machine_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=SUBMISSION, headers={"Host": "evil.example"})
    assert_problem(answer, 421, "host-refused")


async def test_without_allowed_origins_no_other_page_may_read(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/catalogue", headers={"Origin": "https://a.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_an_allowed_origin_may_read_and_write(settings: Settings) -> None:
    allowed = settings.model_copy(update={"allowed_origins": ("https://a.example",)})
    async with serve(allowed) as client:
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        preflight = await client.request("OPTIONS", "/v1/tasks", headers=asked)
        assert preflight.headers["access-control-allow-origin"] == "https://a.example"
        answer = await client.post("/v1/tickets", headers={"Origin": "https://a.example"})
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        other = await client.get("/v1/catalogue", headers={"Origin": "https://a.example.evil"})
        assert "access-control-allow-origin" not in other.headers


async def test_the_catalogue_says_all_that_a_page_needs(client: httpx2.AsyncClient) -> None:
    catalogue = (await client.get("/v1/catalogue")).json()
    levels = {level["school_level"]: level for level in catalogue["school_levels"]}
    subject: dict[str, Any] = levels["high"]["items"][0]
    assert (subject["item"], subject["limit"]["bytes"], len(subject["viewpoints"])) == ("subject", 1500, 6)
    assert "volunteer" not in [item["item"] for item in levels["middle"]["items"]]
    assert (catalogue["simulated"], catalogue["relay_url"]) == (False, "http://127.0.0.1:8001")
    older = (await client.get("/v1/catalogue", params={"school_year": 2025})).json()
    assert older["edition"] == "2025.1"


@pytest.mark.parametrize("year", ["1999", "x", "", "9" * 5000])
async def test_the_catalogue_of_an_unknown_year_is_refused(client: httpx2.AsyncClient, year: str) -> None:
    answer = await client.get("/v1/catalogue", params={"school_year": year})
    assert_problem(answer, 400, "invalid-request", "school_year")


async def test_the_page_is_asked_for_again_each_time_and_sent_only_when_it_changed(client: httpx2.AsyncClient) -> None:
    page = await client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-cache"
    again = await client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_is_not_served_where_a_gateway_does_it(settings: Settings) -> None:
    async with serve(settings.model_copy(update={"serve_web": False})) as client:
        assert (await client.get("/")).status_code == 404


async def test_the_documentation_loads_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r"""(?:src|href)=["']([^"']*)""", page.text)
    assert len(loaded) >= 3
    assert all(address.startswith(("/docs/", "data:")) for address in loaded)
    for name in ("swagger-ui.js", "swagger-ui-preset.js", "swagger-ui.css"):
        assert f"/docs/assets/{name}" in page.text
        assert (await client.get(f"/docs/assets/{name}")).status_code == 200
    assert (await client.get("/docs/assets/redoc.js")).status_code == 404


async def test_a_kind_of_problem_can_be_looked_up(client: httpx2.AsyncClient) -> None:
    problem = (await client.post("/v1/tasks", json={})).json()
    assert (await client.get(problem["type"])).text.startswith(problem["title"])
    assert (await client.get("/problems/none")).status_code == 404


async def test_metrics_name_no_one(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=SUBMISSION)
    text = (await client.get("/metrics")).text
    assert re.search(r'api_submissions_total{outcome="kafka-unavailable"} [1-9]', text)
    assert answer.request.headers["cookie"].partition("=")[2][:32] not in text
    assert "api_ready 0.0" in text


async def test_with_bearer_tokens_nobody_gets_a_cookie_and_nobody_passes_without_one(
    settings: Settings, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    public = tmp_path / "public.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    changes = {"identity": Identity.JWT, "jwt_public_key_file": public, "jwt_audience": "api", "jwt_issuer": "school"}
    claims = {"sub": "teacher-7", "aud": "api", "iss": "school", "exp": 4_000_000_000}
    token = jwt.encode(claims, key, "EdDSA")
    async with serve(settings.model_copy(update=changes)) as client:
        refused = await client.post("/v1/tickets")
        assert_problem(refused, 401, "not-authenticated")
        assert refused.headers["www-authenticate"] == "Bearer"
        answer = await client.post("/v1/tickets", headers={"Authorization": f"Bearer {token}", "Host": "api.example"})
        assert answer.status_code == 201
        assert "set-cookie" not in answer.headers
        assert (await client.get("/v1/catalogue")).status_code == 200
    public_key = load_public_key(settings.ticket_key_file.with_name("ticket.pub.pem").read_bytes())
    assert verify_ticket(answer.json()["ticket"], public_key).owner == "teacher-7"
