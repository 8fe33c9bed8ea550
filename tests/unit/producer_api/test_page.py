from pathlib import Path

import pytest

from producer_api.page import Page


@pytest.fixture
def page(tmp_path: Path) -> Page:
    web = tmp_path / "web"
    (web / "tests").mkdir(parents=True)
    (web / "index.html").write_text("<!doctype html>")
    (web / "page.js").write_text("export {}")
    (web / "notes.py").write_text("")
    (web / ".secret.js").write_text("")
    (tmp_path / "outside.js").write_text("")
    (web / "link.js").symlink_to(tmp_path / "outside.js")
    return Page(web)


def test_the_root_is_the_index(page: Page) -> None:
    file = page.find("/")
    assert file is not None
    assert (file.content, file.media_type) == (b"<!doctype html>", "text/html")


def test_a_file_has_a_tag_that_changes_with_its_content(page: Page, tmp_path: Path) -> None:
    before = page.find("/page.js")
    assert before is not None
    assert before.matches([before.etag])
    assert before.matches([f'"other", W/{before.etag}'])
    assert not before.matches([])
    (tmp_path / "web" / "page.js").write_text("export const a = 1")
    after = page.find("/page.js")
    assert after is not None
    assert not after.matches([before.etag])


@pytest.mark.parametrize(
    "path",
    [
        "/absent.js",
        "/../outside.js",
        "/link.js",
        "/.secret.js",
        "/notes.py",
        "/tests",
        "/a\0.js",
        "/tests/../../outside.js",
    ],
)
def test_what_is_not_part_of_the_page_is_not_found(page: Page, path: str) -> None:
    assert page.find(path) is None


def test_a_missing_directory_is_an_empty_page(tmp_path: Path) -> None:
    assert Page(tmp_path / "absent").find("/") is None
