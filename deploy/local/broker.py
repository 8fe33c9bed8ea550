"""One real Kafka broker as a child process.

`python -m deploy.local.broker` runs one in the foreground until Ctrl-C.
"""

import argparse
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from deploy.local.data_directory import DataDirectory
from deploy.local.errors import LocalError
from deploy.local.kafka_install import Installation, install
from deploy.local.kafka_process import KafkaProcess
from deploy.local.ports import free_ports, require_free
from deploy.local.server_properties import Node, server_properties

READY_SECONDS = 60.0
GRACE_SECONDS = 20.0


class Broker:
    """A broker on a data directory and a port; both stay the same over every restart.

    Start it from the main thread: the kernel ends it with the thread that started it.
    As a context manager it starts on entry and stops on exit.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        port_setting: str = "--port",
        heap_mb: int = 256,
        installation: Installation | None = None,
        properties: Mapping[str, str] | None = None,
        node: Node | None = None,
        cluster_id: str | None = None,
    ) -> None:
        """Describe a broker; nothing runs yet.

        Port 0 takes a free one. `port_setting` is how the user calls the port, for the error that it is taken.
        `properties` go into Kafka's own settings. `node` and `cluster_id` make it a part of a cluster.
        """
        if node is None:
            free, controller_port = free_ports(2)
            node = Node(1, port or free, {1: controller_port})
        self.node = node
        self._directory = DataDirectory(data)
        self._port_setting = port_setting
        self._heap_mb = heap_mb
        self._installation = installation
        self._properties = dict(properties or {})
        self._cluster_id = cluster_id
        self._process: KafkaProcess | None = None

    @property
    def port(self) -> int:
        """Port that clients connect to."""
        return self.node.port

    @property
    def bootstrap(self) -> str:
        """Address that clients connect to."""
        return self.node.bootstrap

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self._directory.path

    @property
    def log(self) -> Path:
        """The file it logs to."""
        return self._directory.log

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.is_running else None

    def start(self, timeout_seconds: float = READY_SECONDS) -> str:
        """Start it, wait until it answers, and return its bootstrap address.

        Raises a LocalError, after which nothing of it runs.
        """
        self.launch()
        self.wait_ready(timeout_seconds)
        return self.bootstrap

    def launch(self) -> None:
        """Start it without waiting; `wait_ready` comes next, from any thread. Nothing happens if it runs."""
        if self.pid is not None:
            return
        self._installation = self._installation or install()
        self._directory.claim()
        try:
            for port in (self.node.port, self.node.controller_ports[self.node.id]):
                require_free(port, self._port_setting)
            self._directory.format(self._installation.template, self.node.id, self._cluster_id)
            settings = server_properties(self.node, self._directory.records, self._properties)
            self._directory.properties.write_text(settings)
            command = self._installation.broker_command(self._directory, self._heap_mb)
            self._process = KafkaProcess(command, self._directory, self.port)
        except BaseException:
            self._directory.release()
            raise

    def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Return when it answers requests; if it does not, end it and raise BrokerDied or BrokerSilent."""
        try:
            self._running().wait_ready(timeout_seconds)
        except BaseException:
            self.kill()
            raise

    def wait(self) -> int:
        """Block until it ends by itself and return its exit status."""
        return self._running().wait()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Stop it in peace (SIGTERM), and kill it when the grace is over. Nothing happens if it does not run."""
        if self._process:
            self._process.stop(grace_seconds)
        self._forget()

    def request_stop(self) -> None:
        """Send SIGTERM and return at once; `stop` waits for the end."""
        self._running().signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would. Nothing happens if it does not run."""
        if self._process:
            self._process.kill()
        self._forget()

    def restart(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Stop it if it runs, and start it again on the same port and data."""
        self.stop()
        self.start(timeout_seconds)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers."""
        self._running().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        self._running().signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> KafkaProcess:
        if self._process is None:
            raise RuntimeError("the broker is not started")
        return self._process

    def _forget(self) -> None:
        self._process = None
        self._directory.release()


def _show(what: str, done: int, total: int) -> None:
    if done == total:
        print(f"\rinstalling Kafka: {what} {done}/{total}", file=sys.stderr, flush=True)
    elif sys.stderr.isatty():
        print(f"\rinstalling Kafka: {what} {done}/{total}", end="", file=sys.stderr, flush=True)


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(0)


def main() -> None:
    """Run one broker in the foreground until Ctrl-C, SIGTERM or the end of the terminal."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.broker", description=main.__doc__)
    parser.add_argument("--data", type=Path, default=Path(".run/kafka"), help="directory of its records")
    parser.add_argument("--port", type=int, default=9092, help="port on 127.0.0.1; 0 takes a free one")
    chosen = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        with Broker(chosen.data, port=chosen.port, installation=install(_show)) as broker:
            print(broker.bootstrap, flush=True)
            status = broker.wait()
            sys.exit(f"Kafka ended with status {status}; its log is {broker.log}")
    except LocalError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
