"""The whole system from docker-compose.yml: `python -m deploy.containers.composition up|down`."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.containers.docker_client import require_engine
from deploy.containers.errors import CommandFailed, ContainersError, EngineFailed
from deploy.containers.images import make_images
from deploy.containers.settings import ImageSettings
from deploy.local.errors import LocalError

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND_SECONDS = 300
_PROBE_SECONDS = 10
_TAIL_CHARACTERS = 3000


class Composition:
    """One project of the composition file; several with other names and ports may run side by side."""

    def __init__(self, project: str, environment: Mapping[str, str]) -> None:
        """Describe it; nothing runs yet. `environment` holds images and ports, as the file names them."""
        self.project = project
        self._environment = dict(environment)
        self._program = compose_command()

    def up(self) -> None:
        """Start everything and return when it was started; raise CommandFailed."""
        self.run("up", "--detach", "--no-build")

    def down(self, *, with_records: bool = False) -> None:
        """Stop and remove all containers and the network, and with `with_records` the volumes too."""
        self.run("down", "--remove-orphans", *(["--volumes"] if with_records else []))

    def logs(self) -> str:
        """Return the last lines of every container."""
        return self.run("logs", "--no-color", "--tail=25")[-_TAIL_CHARACTERS:]

    def run(self, *arguments: str) -> str:
        """Run one command of compose and return what it printed; raise CommandFailed."""
        command = [*self._program, "--project-name", self.project, *self._files(), *arguments]
        environment = {**os.environ, **self._environment}
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
        )
        if done.returncode:
            words = (done.stdout + done.stderr)[-_TAIL_CHARACTERS:]
            raise CommandFailed([*self._program, *arguments], done.returncode, words)
        return done.stdout

    def _files(self) -> Sequence[str]:
        files = ["--file", "docker-compose.yml"]
        real = self._environment.get("OPENAI_API_KEY", "")
        return [*files, "--file", "docker-compose.openai.yml"] if real else files


def compose_command() -> list[str]:
    """Return the second generation of compose where it is installed, else the first; raise EngineFailed."""
    plugin = ["docker", "compose"]
    if (
        shutil.which("docker")
        and not subprocess.run(
            [*plugin, "version"], capture_output=True, check=False, timeout=_PROBE_SECONDS
        ).returncode
    ):
        return plugin
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise EngineFailed("There is no docker compose on this machine: run `make system-packages` first.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Start or stop the project `draftstream`; exit status 1 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m deploy.containers.composition", description=__doc__)
    parser.add_argument("do", choices=("up", "down"))
    chosen = parser.parse_args(arguments)
    try:
        require_engine()
        if chosen.do == "up":
            images = make_images(ImageSettings(), lambda what: print(f"  {what}", flush=True))
            Composition("draftstream", {**os.environ, **images.environment}).up()
            port = os.environ.get("DRAFTSTREAM_API_PORT", "8000")
            print(
                f"The page is at http://127.0.0.1:{port} · `make compose-down` stops everything and keeps the records."
            )
        else:
            Composition("draftstream", os.environ).down()
    except (ContainersError, LocalError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
