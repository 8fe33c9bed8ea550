"""The API as a test sees it: settings with keys of their own, and a real server on a free port."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from producer_api.app import create_app
from producer_api.bounded_protocol import bounded_protocol
from producer_api.settings import Settings

SUBMISSION = {"item": "subject", "notes": "광합성 실험을 설계하고 결과를 발표함. 모둠에서 자료를 정리함."}


def write_keys(directory: Path) -> dict[str, Any]:
    """Write the key files of an API; return the settings that name them."""
    key = Ed25519PrivateKey.generate()
    ticket_key, public_key, secret = directory / "ticket.pem", directory / "ticket.pub.pem", directory / "secret"
    ticket_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public_key.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    secret.write_bytes(secrets.token_bytes(32))
    return {"ticket_key_file": ticket_key, "secret_file": secret}


@contextlib.asynccontextmanager
async def serve(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Run the API in this process on a free port; yield a client of it, whatever Kafka does."""
    # With its protocol named, asyncio sets TCP_NODELAY on what it accepts, as on sockets of its own.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(
            create_app(settings),
            http=bounded_protocol(settings.header_seconds, settings.header_bytes),
            ws="none",
            log_config=None,
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            await running


async def ask_until(
    ask: Callable[[], Awaitable[httpx2.Response]], wanted: Callable[[httpx2.Response], bool], seconds: float = 30
) -> httpx2.Response:
    """Ask until the answer is the wanted one: what Kafka, another process, decides."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await ask()
            if wanted(answer):
                return answer
            await asyncio.sleep(0.05)


async def wait_ready(client: httpx2.AsyncClient, seconds: float = 30) -> None:
    """Ask until the API takes submissions."""
    await ask_until(lambda: client.get("/readyz"), lambda answer: answer.status_code == 200, seconds)
