"""Tests that need more than Python say so with `@pytest.mark.needs("chromium")`; nothing is left out silently.

Where a need is missing its tests are deselected, and the end of the run names them and says how to get it. With
`--require-everything` a missing need ends the run before it begins.
"""

import shutil
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gateway import find_nginx

DOCKER_SOCKET = Path("/var/run/docker.sock")
_MISSING = pytest.StashKey[Counter[str]]()


def _docker_answers() -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(str(DOCKER_SOCKET))
    except OSError:
        return False
    return True


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "chromium": (
        lambda: shutil.which("chromium") is not None,
        "a Chromium with Korean fonts: `make system-packages` on Debian, as root",
    ),
    "node": (
        lambda: shutil.which("node") is not None,
        "Node.js 20 or newer on the PATH: `make system-packages` on Debian, as root",
    ),
    "nginx": (
        lambda: find_nginx() is not None,
        "nginx: `make system-packages` on Debian, as root",
    ),
    "docker": (
        _docker_answers,
        "a Docker engine that answers on its socket: `make container-engine` on Debian, as root",
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-everything", action="store_true", help="a test that cannot be run is an error")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(name): runs only where `name` is there; see tests/support/needs.py")
    config.stash[_MISSING] = Counter()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = {name: present() for name, (present, _) in NEEDS.items()}
    missing = config.stash[_MISSING]
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        needs = [name for mark in item.iter_markers("needs") for name in mark.args if not here[name]]
        missing.update(needs)
        (left_out if needs else kept).append(item)
    if missing and config.getoption("require_everything"):
        pytest.exit("; ".join(_sentences(missing)), returncode=1)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for sentence in _sentences(config.stash[_MISSING]):
        terminalreporter.write_line(f"NOT RUN: {sentence}", yellow=True)


def _sentences(missing: Counter[str]) -> list[str]:
    return [f"{count} tests need {NEEDS[name][1]}" for name, count in sorted(missing.items())]
