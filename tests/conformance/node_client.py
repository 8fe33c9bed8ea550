"""The npm package `eventsource`, installed once into .cache/ and used from there afterwards."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(__file__).parent / "clients"
_INSTALL_SECONDS = 90


def installed_client() -> Path:
    """Return a folder whose node_modules has the pinned packages; fail with a sentence when npm cannot get them."""
    wanted: dict[str, str] = json.loads((CLIENTS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    name = "-".join(f"{package}-{version}" for package, version in sorted(wanted.items()))
    folder = ROOT / ".cache" / "conformance" / name
    if not (folder / "node_modules" / "eventsource" / "package.json").is_file():
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("npm is not on the PATH: it comes with Node.js and installs the client that this test runs")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="npm-", dir=folder.parent))
    try:
        shutil.copy(CLIENTS / "package.json", partial)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
        done = subprocess.run(
            command, cwd=partial, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
        if done.returncode:
            pytest.fail(
                f"npm could not install {(partial / 'package.json').read_text()}: the registry must be reachable once; "
                f"afterwards the packages are in {folder}. npm says: {done.stderr[-500:]}"
            )
        if not folder.exists():
            partial.rename(folder)
    except subprocess.TimeoutExpired:
        pytest.fail(f"npm did not install the client within {_INSTALL_SECONDS} s: is its registry reachable?")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
