"""nginx as the gateway, with the configuration that is shipped, for tests."""

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import httpx2

READY_SECONDS = 30.0


def find_nginx() -> str | None:
    """Return where nginx is; Debian puts it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


class GatewayProcess:
    """nginx with a configuration, in a folder that also takes everything it logs."""

    def __init__(self, folder: Path, configuration: str, url: str) -> None:
        self.url = url
        self._folder = folder
        self._folder.mkdir()
        (self._folder / "nginx.conf").write_text(configuration, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        nginx = find_nginx()
        assert nginx is not None
        with (self._folder / "access").open("ab") as access, (self._folder / "errors").open("ab") as errors:
            self._process = subprocess.Popen(
                [nginx, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")], stdout=access, stderr=errors
            )
        return self._process

    async def start(self) -> "GatewayProcess":
        """Start, and wait until it answers."""
        process = self.launch()
        async with asyncio.timeout(READY_SECONDS), httpx2.AsyncClient() as client:
            while not await self._answers(client):
                assert process.poll() is None, self.errors
                await asyncio.sleep(0.05)  # another process: it cannot call us
        return self

    async def _answers(self, client: httpx2.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.url}/livez")).status_code == 200
        except httpx2.TransportError:
            return False

    @property
    def access(self) -> str:
        """Its access log."""
        return (self._folder / "access").read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """Its error log."""
        return (self._folder / "errors").read_text(encoding="utf-8")

    def written(self) -> bytes:
        """Return everything that it has written anywhere, after its end."""
        files = [file for file in sorted(self._folder.rglob("*")) if file.is_file()]
        return b"\n".join(file.read_bytes() for file in files)

    def reload(self, configuration: str) -> None:
        """Ask it to go on with another configuration; requests that come later see it, open streams do not."""
        assert self._process is not None
        (self._folder / "nginx.conf").write_text(configuration, encoding="utf-8")
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it at once, its workers too."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
