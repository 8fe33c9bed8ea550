"""The contestants: how each is started on a topic, and what it can do."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.relay.programs import Programs
from deploy.local.ports import free_ports

PARTITION_COUNT = 12
_NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a contestant runs: broker, topic, port, a folder of its own, the tickets' public key."""

    bootstrap: str
    prefix: str
    port: int
    folder: Path
    public_key: Path
    programs: Programs

    @property
    def topic(self) -> str:
        """Name of the events topic."""
        return f"{self.prefix}.events"


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started."""

    argv: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One server: `resumes` from a position, `restarts` without loss, begins with a `snapshot`; fed by a `bridge`."""

    name: str
    command: Callable[[Scene], Command]
    resumes: bool = True
    restarts: bool = True
    snapshots: bool = False
    kafka_positions: bool = True
    bridged: bool = False
    peer: bool = False
    missing: Callable[[], str] = lambda: ""
    """Why it cannot run on this machine, or nothing."""


def _ours(mode: str) -> Callable[[Scene], Command]:
    def command(scene: Scene) -> Command:
        environment = {
            "RELAY_PORT": str(scene.port),
            "RELAY_BOOTSTRAP": scene.bootstrap,
            "RELAY_TOPIC_PREFIX": scene.prefix,
            "RELAY_PARTITION_COUNT": str(PARTITION_COUNT),
            "RELAY_TICKET_PUBLIC_KEY_FILE": str(scene.public_key),
            "RELAY_STREAM_MODE": mode,
            "RELAY_MAX_STREAMS_PER_OWNER": "20000",
        }
        return Command([sys.executable, "-m", "sse_relay"], environment)

    return command


def _floor(wait_ms: int) -> Callable[[Scene], Command]:
    def command(scene: Scene) -> Command:
        numbers = [str(PARTITION_COUNT), str(scene.port), str(wait_ms), "15"]
        return Command([scene.programs.path("floor"), scene.bootstrap, scene.topic, *numbers], {})

    return command


def _naive(scene: Scene) -> Command:
    arguments = [scene.bootstrap, scene.topic, str(scene.port)]
    return Command([sys.executable, "-m", "bench.relay.naive", *arguments], {})


def _nchan(scene: Scene) -> Command:
    scene.folder.chmod(0o755)  # its worker is another user
    configuration = scene.folder / "nginx.conf"
    configuration.write_text(nchan_configuration(scene.port, scene.folder))
    return Command([shutil.which("nginx") or "nginx", "-p", str(scene.folder), "-c", str(configuration)], {})


def nchan_configuration(port: int, folder: Path) -> str:
    """Return nginx's settings: one worker, as all have one core; buffers so large that nothing is lost."""
    return f"""\
load_module {_NCHAN};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  nchan_shared_memory_size 1024M;
  nchan_message_buffer_length 2000;
  nchan_message_timeout 1h;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /readyz {{ return 200; }}
    location ~ ^/publish/(?<task>[0-9a-f]+)$ {{ nchan_publisher; nchan_channel_id $task; }}
    location ~ ^/v1/tasks/(?<task>[0-9a-f]+)/events$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $task;
      nchan_subscriber_first_message oldest;
      nchan_eventsource_ping_interval 15;
    }}
  }}
}}
"""


def _without_nchan() -> str:
    if not shutil.which("nginx") or not _NCHAN.exists():
        return "Debian's nginx and libnginx-mod-nchan are not installed"
    return ""


def _without_relay() -> str:
    return "" if importlib.util.find_spec("sse_relay.__main__") else "there is no sse_relay"


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("floor", _floor(0)),
        Contestant("floor-5ms", _floor(5)),
        Contestant("ours", _ours("take-over"), snapshots=True, missing=_without_relay),
        Contestant("ours-asgi", _ours("asgi"), peer=True, snapshots=True, missing=_without_relay),
        Contestant("naive", _naive, peer=True, resumes=False, restarts=False),
        Contestant(
            "nchan", _nchan, peer=True, restarts=False, kafka_positions=False, bridged=True, missing=_without_nchan
        ),
    )
}


def free_port() -> int:
    """Return a port that nothing listens on."""
    return free_ports(1)[0]
