"""An engine of our own is started only where none answers, and nothing but that one is ever stopped."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.containers.engine import Engine, answers
from deploy.containers.errors import EngineFailed


@contextmanager
def engine_of_another(path: Path) -> Iterator[None]:
    """Answer one ping on a socket, as an engine that somebody else has started does."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join(timeout=5)


def test_where_there_is_no_socket_nothing_answers(tmp_path: Path) -> None:
    assert not answers(tmp_path / "docker.sock")


def test_an_engine_that_answers_is_used_and_nothing_is_made(tmp_path: Path) -> None:
    with engine_of_another(tmp_path / "docker.sock"):
        assert not Engine(tmp_path / "engine", tmp_path / "docker.sock").start()
    assert not (tmp_path / "engine").exists()


def test_another_program_with_the_number_of_our_engine_is_left_alone(tmp_path: Path) -> None:
    engine = Engine(tmp_path, tmp_path / "docker.sock")
    (tmp_path / "dockerd.pid").write_text(str(os.getpid()))
    assert engine.pid is None
    assert not engine.stop()


def test_a_machine_without_an_engine_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="make system-packages"):
        Engine(tmp_path / "engine", tmp_path / "docker.sock", programs=str(tmp_path)).start()


def test_an_engine_that_ends_at_once_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "dockerd").write_text("#!/bin/sh\necho 'no room for records' >&2\nexit 1\n")
    (tmp_path / "dockerd").chmod(0o755)
    with pytest.raises(EngineFailed, match="no room for records" if os.geteuid() == 0 else "needs root"):
        Engine(tmp_path / "engine", tmp_path / "docker.sock", programs=str(tmp_path)).start()


def test_what_a_killed_engine_left_does_not_stop_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    (folder / "exec" / "containerd").mkdir(parents=True)
    left = [folder / "dockerd.pid", folder / "exec" / "containerd" / "containerd.pid"]
    for file in left:
        file.write_text(str(os.getpid()))  # a number that another process has by now
    dockerd = tmp_path / "dockerd"
    dockerd.write_text("#!/bin/sh\nexit 3\n")
    dockerd.chmod(0o755)
    with pytest.raises(EngineFailed):
        Engine(folder, tmp_path / "docker.sock", programs=f"{tmp_path}:/bin:/usr/bin").start()
    assert os.geteuid() != 0 or not any(file.exists() for file in left)
