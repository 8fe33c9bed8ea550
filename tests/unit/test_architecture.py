"""Imports go one way: services never import each other, framework names stay at the rim, nothing happens at import."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "contracts": set[str](),
    "student_records": {"contracts"},
    "producer_api": {"contracts", "student_records"},
    "stream_processors": {"contracts", "student_records"},
    "sse_relay": {"contracts"},
}
RIM = {
    "litestar": {"producer_api", "sse_relay"},
    "faust": {"stream_processors"},
    "openai": {"stream_processors"},
    "confluent_kafka": {"sse_relay"},
    "aiokafka": {"producer_api", "stream_processors"},
}
ONE_FILE = {"openai": {"stream_processors/openai_model.py"}}


def sources(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} is empty"
    return files


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_lies_further_in(package: str) -> None:
    ours = set(PACKAGES) | {"deploy", "tests", "bench"}
    for file in sources(package):
        foreign = set(imported(file)) & ours - {package} - PACKAGES[package]
        assert not foreign, f"{file.relative_to(ROOT)} imports {sorted(foreign)}"


@pytest.mark.parametrize("framework", RIM)
def test_a_framework_stays_in_its_services(framework: str) -> None:
    for package in PACKAGES:
        users = {str(file.relative_to(ROOT)) for file in sources(package) if framework in imported(file)}
        assert not users or package in RIM[framework], f"{framework} is used in {sorted(users)}"
        assert users <= ONE_FILE.get(framework, users)


@pytest.mark.parametrize("package", [*PACKAGES, "deploy"])
def test_no_environment_is_read_outside_the_settings_and_entry_points(package: str) -> None:
    """`os.environ` as a default argument or in a function of an entry point is fine; a read at import is not."""
    for file in sources(package):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            names = {child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)}
            assert not names & {"environ", "getenv"}, f"{file.relative_to(ROOT)} reads the environment at import"


@pytest.mark.parametrize("package", PACKAGES)
def test_file_names_are_nouns_not_drawers(package: str) -> None:
    drawers = {"utils", "util", "common", "helpers", "helper", "base", "core", "models", "manager", "misc"}
    assert not {file.stem for file in sources(package)} & drawers


def test_the_python_that_runs_is_one_that_is_promised() -> None:
    assert sys.version_info >= (3, 11)
