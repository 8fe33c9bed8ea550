"""Take the pictures of the page in docs/screenshots: `python -m tests.support.page_screenshots`."""

import asyncio
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from contracts.events import Phase, Reason
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.support.page_server import PageServer
from tests.support.sample_course import FINDINGS, TEXTS
from tests.support.scripted_task import ScriptedTask

PICTURES = Path(__file__).parents[2] / "docs" / "screenshots"
WIDE = ViewportSize(width=1440, height=900)
NARROW = ViewportSize(width=360, height=740)


def begin(task: ScriptedTask, lengths: tuple[int, ...]) -> None:
    """Write as much of each sample text as its length says; a whole one goes on to its next phase."""
    task.start()
    for number, (text, length) in enumerate(zip(TEXTS, lengths, strict=True), start=1):
        task.enter(number, Phase.DRAFTING)
        task.say(number, text[:length])
        if length >= len(text):
            task.enter(number, Phase.CHECKING)


def finish(task: ScriptedTask, failed: int = 0) -> None:
    """End a task; one version may fail."""
    begin(task, (500, 500, 500))
    for number in (1, 2, 3):
        if number == failed:
            task.fail_version(number, Reason.FORBIDDEN_CONTENT)
        else:
            task.complete(number, findings=FINDINGS.get(number, ()))
    task.succeed()


async def submit(page: Page, server: PageServer, label: str) -> ScriptedTask:
    """Send the sample notes under a name."""
    await page.click("#new-task")
    await page.click("#sample-notes")
    await page.fill("#label", label)
    await page.click("#submit")
    await expect(page.locator("#task h2")).to_have_text(label)
    return list(server.tasks.values())[-1]


async def take(page: Page, name: str, *, full_page: bool = False) -> None:
    """Take one picture with nothing moving in it."""
    await page.evaluate("() => document.fonts.ready")
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=full_page, animations="disabled")


async def take_all(page: Page, server: PageServer) -> None:
    """Go through a lesson's work and take a picture of each station."""
    await page.goto(server.url)
    await expect(page.locator("#connection")).to_have_attribute("data-status", "live")
    finish(await submit(page, server, "2반 1번"))
    finish(await submit(page, server, "2반 2번"), failed=2)
    await expect(page.locator(".task-notice")).to_be_visible()
    await take(page, "degraded", full_page=True)
    begin(await submit(page, server, "2반 3번"), (330, 500, 260))
    begin(await submit(page, server, "2반 4번"), (120, 90, 160))
    await submit(page, server, "2반 5번")
    await page.click("#new-task")
    await page.click("#sample-notes")
    await page.fill("#label", "2반 6번")
    await page.locator("#notes").focus()
    await take(page, "form")
    await page.click("a.row >> nth=2")
    await expect(page.locator('li[data-state="now"]').first).to_be_visible()
    await take(page, "writing")
    await page.click("a.row >> nth=4")
    await expect(page.locator(".copy").first).to_be_visible()
    await take(page, "done", full_page=True)
    await page.locator(".copy").first.click()
    await take(page, "copy")
    await page.keyboard.press("Escape")
    await page.set_viewport_size(NARROW)
    await take(page, "mobile-done", full_page=True)
    await page.click("a.row >> nth=2")
    await expect(page.locator('li[data-state="now"]').first).to_be_visible()
    await take(page, "mobile-writing")


async def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    server = PageServer()
    await server.start()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport=WIDE, locale="ko-KR", timezone_id="Asia/Seoul")
        await take_all(page, server)
        await browser.close()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
