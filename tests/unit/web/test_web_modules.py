"""The page's modules under Node, and what they share with the services."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from contracts.events import EVENT_TYPES, Phase, Reason
from contracts.lifecycle import Stage
from student_records.items import Item, SchoolLevel

pytestmark = pytest.mark.needs("node")

WEB = Path(__file__).parents[3] / "web"


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    assert found, "Node 20 or newer runs the tests of the page's modules"
    return found


def test_the_modules_pass_their_own_tests(node: str) -> None:
    tests = [str(path) for path in sorted(Path(__file__).parent.glob("*.test.mjs"))]
    assert tests
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def exported(node: str, module: str, names: list[str]) -> dict[str, list[str]]:
    """Return the keys of a module's exported tables."""
    script = (
        f"import * as module from {json.dumps((WEB / module).as_uri())};"
        f"const keys = (table) => Array.isArray(table) ? table : Object.keys(table);"
        f"const names = {json.dumps(names)};"
        "console.log(JSON.stringify(Object.fromEntries(names.map((name) => [name, keys(module[name])]))));"
    )
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], capture_output=True, text=True, timeout=30, check=True
    )
    tables: dict[str, list[str]] = json.loads(done.stdout)
    return tables


def test_every_reason_stage_and_item_has_korean_words(node: str) -> None:
    tables = exported(node, "words.js", ["REASONS", "WAITS", "STAGES", "PHASES", "ITEMS", "SHORT_ITEMS", "LEVELS"])
    assert tables["REASONS"] == [*Reason]
    assert tables["WAITS"] == [*Reason]
    assert tables["STAGES"] == [*Stage]
    assert tables["PHASES"] == [*Phase]
    assert tables["ITEMS"] == tables["SHORT_ITEMS"] == [*Item]
    assert tables["LEVELS"] == [*SchoolLevel]


def test_the_reducer_knows_every_event(node: str) -> None:
    assert set(exported(node, "reducer.js", ["EVENT_TYPES"])["EVENT_TYPES"]) == set(EVENT_TYPES)


def sources() -> list[Path]:
    return sorted(path for pattern in ("*.js", "*.html", "*.css") for path in WEB.glob(pattern))


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.name)
def test_the_page_takes_nothing_from_elsewhere_and_makes_no_markup_from_text(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|console\.|"
        r"//[a-z0-9.-]+\.(com|net|org|io|dev)\b(?!/2000/svg)"
    )
    assert not re.findall(forbidden, text)
    assert not re.findall(r"\sstyle=|\son[a-z]+=", text)


def test_every_module_is_fetched_at_once_and_not_one_after_the_other() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:src|rel="modulepreload" href)="([a-z_]+\.js)"', page))
    assert named == {path.name for path in WEB.glob("*.js")}
