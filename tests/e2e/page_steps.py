"""What a teacher does and sees on the page."""

from playwright.async_api import Locator, Page, expect

from tests.support.page_server import PageServer
from tests.support.scripted_task import ScriptedTask

NOTES = "온도를 2주 동안 재고 그래프로 정리함."


async def open_page(page: Page, server: PageServer) -> None:
    """Open the page and wait until it has its catalogue and its stream."""
    await page.goto(server.url)
    await expect(page.locator("#item option").first).to_be_attached()
    await expect(page.locator("#connection")).to_have_attribute("data-status", "live")


async def submit(page: Page, server: PageServer, notes: str = NOTES, label: str = "") -> ScriptedTask:
    """Fill the form in and send it; returns the task that came of it."""
    await page.fill("#notes", notes)
    await page.fill("#label", label)
    await page.click("#submit")
    await expect(page.locator(".version")).to_have_count(3)
    return list(server.tasks.values())[-1]


async def show(page: Page, task: ScriptedTask) -> None:
    """Choose a task in the list."""
    await page.click(f'a.row[href="#{task.task_id}"]')
    await expect(page.locator(".version")).to_have_count(3)


def column(page: Page, number: int) -> Locator:
    return page.locator(".version").nth(number - 1)


def text_of(page: Page, number: int) -> Locator:
    """Return the place of a version's text while it grows."""
    return column(page, number).locator(".text")


def editor_of(page: Page, number: int) -> Locator:
    """Return the field of a version's text once it is complete."""
    return column(page, number).locator(".editor")
