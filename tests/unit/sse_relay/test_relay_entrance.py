"""The entrance answers as Litestar's own routes do, which are asked here with a slash at the end."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.cursor import Position
from contracts.task import OwnerId, TaskId, new_task_id
from contracts.ticket import Ticket, sign_ticket
from sse_relay.app import build_app
from sse_relay.relay import build_relay
from sse_relay.settings import Settings

ALLOWED = "http://page.example"
TASK = new_task_id()
Ask = Callable[..., Any]


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def ask(key: Ed25519PrivateKey, tmp_path: Path) -> Ask:
    public = tmp_path / "key.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    settings = Settings(ticket_public_key_file=public, allowed_origins=(ALLOWED,), partition_count=1)
    relay = build_relay(settings)
    relay.hub.begin(0, 0, 0, False)
    app = build_app(relay, lambda: None)

    async def ask(
        path: str, query: str = "", *, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope: dict[str, object] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
        }
        scope |= {"query_string": query.encode(), "headers": raw, "http_version": "1.1", "scheme": "http"}
        scope["state"] = {}
        await app(scope, receive, send)  # type: ignore[arg-type]  # a scope as a server makes it
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], found, json.loads(body) if body else None

    return ask


def ticket(key: Ed25519PrivateKey, task_id: TaskId | None = TASK, *, seconds: int = 60) -> str:
    start = Position(0, 0) if task_id else None
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return "ticket=" + sign_ticket(Ticket(OwnerId("owner"), expires, task_id, start), key)


PATHS = [f"/v1{named}{of}/events" for named in ("", "/partitions/0", "/partitions/1") for of in ("", f"/tasks/{TASK}")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [ALLOWED, "http://evil.example"])
async def test_a_refusal_is_the_same_problem_at_both_doors(
    ask: Ask, key: Ed25519PrivateKey, path: str, origin: str
) -> None:
    good, late, another = ticket(key), ticket(key, seconds=-60), ticket(key, new_task_id())
    for query in ("", "ticket=x", late, another, f"{good}&after=x", f"{good}&after=0-0&after=0-1"):
        (status, headers, body), (other_status, other_headers, other_body) = [
            await ask(door, query, origin=origin) for door in (path, f"{path}/")
        ]
        assert status in (400, 401, 404), query
        assert (status, body) == (other_status, other_body)
        same = ("content-type", "cache-control", "content-length", "www-authenticate", "access-control-allow-origin")
        assert [headers.get(name) for name in same] == [other_headers.get(name) for name in same]
        assert headers["vary"] == "Origin"


async def test_what_has_seen_the_end_is_told_so_at_both_doors(ask: Ask, key: Ed25519PrivateKey) -> None:
    for path in (f"/v1/tasks/{TASK}/events", f"/v1/partitions/0/tasks/{TASK}/events"):
        for door in (path, f"{path}/"):
            status, headers, body = await ask(door, ticket(key), last_event_id="0-5-end")
            assert (status, headers["cache-control"], body) == (204, "no-store", None)


async def test_a_partition_that_does_not_fit_is_refused_at_both_doors(ask: Ask, key: Ed25519PrivateKey) -> None:
    who = {f"/tasks/{TASK}/events": ticket(key), f"/tasks/{TASK}": ticket(key), "/events": ticket(key, None)}
    for rest, query in who.items():
        for named in ("1", "00", "99999", "1" * 1000, "-1", "x", "\u00b2", " 0"):
            for door in (f"/v1/partitions/{named}{rest}", f"/v1/partitions/{named}{rest}/"):
                status, _, body = await ask(door, query)
                assert (status, body["type"]) == (400, "/problems/wrong-partition"), door


async def test_only_get_is_for_streams(ask: Ask, key: Ed25519PrivateKey) -> None:
    for method in ("POST", "HEAD", "DELETE"):
        for path in (f"/v1/tasks/{TASK}/events", f"/v1/partitions/0/tasks/{TASK}/events"):
            status, headers, _ = await ask(path, ticket(key), method=method)
            assert (status, "GET" in headers["allow"]) == (405, True)
    status, headers, _ = await ask("/v1/events", method="OPTIONS", origin=ALLOWED, access_control_request_method="GET")
    assert (status, headers["access-control-allow-origin"]) == (204, ALLOWED)


async def test_everything_else_is_passed_on(ask: Ask) -> None:
    assert (await ask("/livez"))[0] == 200
    for elsewhere in (f"/v1/tasks/{TASK}/events/more", f"/v1/partitions/0/partitions/0/tasks/{TASK}/events"):
        assert (await ask(elsewhere))[0] == 404
    assert (await ask(f"/v1/tasks/{TASK}\n/events"))[0] == 401, "a path like any other to Litestar, without a ticket"
