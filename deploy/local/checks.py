"""Everything that is checked before a change lands: `make test`. Static checks first, then pytest.

What this machine cannot run is named at the end with the way to get it; with `--require-everything` (as in CI) it is
an error instead.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_STATIC: Sequence[tuple[str, Sequence[str]]] = (
    ("format", ("ruff", "format", "--check", ".")),
    ("lint", ("ruff", "check", ".")),
    ("types", ("mypy",)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; exit status 1 when any failed."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.checks", description="Run all checks.")
    parser.add_argument("--static", action="store_true", help="no tests: format, lint and types only")
    parser.add_argument("--require-everything", action="store_true", help="a test that cannot be run is an error")
    options, more = parser.parse_known_args(arguments)
    failed = [name for name, command in _STATIC if not _passes(name, command)]
    if failed:
        print(f"FAILED: {', '.join(failed)}", flush=True)
    if options.static:
        return int(bool(failed))
    strict = ["--require-everything"] if options.require_everything else []
    tests = subprocess.run([sys.executable, "-m", "pytest", *strict, *more], cwd=_ROOT, check=False)
    return int(bool(failed) or tests.returncode != 0)


def _passes(name: str, command: Sequence[str]) -> bool:
    print(f"{name} … ", end="", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=_ROOT, check=False, capture_output=True, text=True, timeout=600
    )
    print("ok" if done.returncode == 0 else f"failed\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
