"""The page in Chromium: from the click to what changes on the screen."""

import shutil
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench.journey.figures import Figures, spread
from bench.journey.submissions import make_submissions

_PAGE_SECONDS = 30.0
_TASK_SECONDS = 60.0

_CLICK_AND_WATCH = """() => new Promise((resolve) => {
  const seen = {};
  const began = performance.now();
  const note = (name) => { seen[name] ??= performance.now() - began; };
  const look = () => {
    const columns = [...document.querySelectorAll("#task:not([hidden]) .version")];
    if (columns.length === 0) return;
    note("columns");
    if (columns.some((column) => column.dataset.stage !== "waiting")) note("moved");
    const texts = columns.map((column) => column.querySelector(".text").textContent);
    if (texts.some(Boolean)) note("words");
    if (texts.every(Boolean)) { note("all"); watch.disconnect(); resolve(seen); }
  };
  const watch = new MutationObserver(look);
  watch.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  document.getElementById("submit").click();
})"""


def is_here() -> bool:
    """Tell whether there is a Chromium on this machine."""
    return shutil.which("chromium") is not None


def measure(page_url: str, count: int, tag: str) -> Figures:
    """Click `count` times, one after the other; a task may still run when the next is clicked."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.set_default_timeout(1000 * _PAGE_SECONDS)
            page.goto(page_url)
            page.wait_for_selector("#connection[data-status=live]", state="attached")
            seen = [_click(page, str(body["notes"])) for body in make_submissions(count, tag)]
        finally:
            browser.close()
    names = {"columns": "page_columns", "moved": "page_moved", "words": "page_words", "all": "page_all_begun"}
    figures: Figures = {}
    for name, figure in names.items():
        figures |= spread(figure, [one[name] / 1000 for one in seen if name in one])
    return figures


def _click(page: Page, notes: str) -> dict[str, Any]:
    page.click("#new-task")
    page.fill("#notes", notes)
    page.wait_for_selector("#submit:not([disabled])")
    page.set_default_timeout(1000 * _TASK_SECONDS)
    seen: dict[str, Any] = page.evaluate(_CLICK_AND_WATCH)
    return seen
