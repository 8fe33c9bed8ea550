"""The page on the real system: whatever is killed in mid-task, the teacher sees three finished versions."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest
from playwright.async_api import BrowserContext, Page, expect

from deploy.local.sample_notes import sample_notes
from deploy.local.system import System
from tests.e2e.page_steps import column, text_of

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.timeout(240)]

SLOW = {"first_text_seconds": [0.1, 0.3], "tokens_per_second": [60, 80], "delta_seconds": 0.05, "text_seconds": 5.0}
PATIENCE_MS = 90_000


def kill_worker(system: System) -> None:
    system.worker().kill()
    system.worker().launch()


def kill_relay(system: System) -> None:
    system.relay.kill()
    system.relay.launch()


def kill_broker(system: System) -> None:
    system.brokers[0].kill()
    system.brokers[0].launch()


async def write_in_mid_text(page: Page, system: System) -> None:
    """Submit a sample and return when all three versions have some text."""
    control = f"http://127.0.0.1:{system.ports.simulator}/control/pace"
    httpx2.put(control, json=SLOW, timeout=10).raise_for_status()
    await page.goto(system.api_url)
    await expect(page.locator("#connection")).to_have_attribute("data-status", "live")
    await page.fill("#notes", sample_notes()[0].notes)
    await page.click("#submit")
    await expect(page.locator(".version")).to_have_count(3)
    for number in (1, 2, 3):
        await expect(text_of(page, number)).not_to_be_empty(timeout=PATIENCE_MS)


async def expect_three_finished(page: Page) -> None:
    for number in (1, 2, 3):
        editor = column(page, number).locator(".editor")
        await expect(editor).to_be_visible(timeout=PATIENCE_MS)
        text = await editor.input_value()
        assert text.strip().endswith(".")
        sentences = [sentence for sentence in text.split(". ") if sentence]
        assert len(set(sentences)) == len(sentences), "a sentence stands there twice"


@pytest.mark.parametrize("kill", [kill_worker, kill_relay, kill_broker])
async def test_a_kill_in_mid_task_leaves_three_finished_versions(
    page: Page, own_system: System, kill: Callable[[System], None]
) -> None:
    await write_in_mid_text(page, own_system)
    kill(own_system)
    await expect_three_finished(page)


async def test_a_refresh_and_a_second_tab_show_the_same(
    page: Page, context: BrowserContext, own_system: System
) -> None:
    await write_in_mid_text(page, own_system)
    await page.reload()
    second = await context.new_page()
    await second.goto(page.url)
    await asyncio.gather(expect_three_finished(page), expect_three_finished(second))
    for number in (1, 2, 3):
        texts = [await column(tab, number).locator(".editor").input_value() for tab in (page, second)]
        assert texts[0] == texts[1]


async def test_a_lost_network_is_made_good(page: Page, context: BrowserContext, own_system: System) -> None:
    await write_in_mid_text(page, own_system)
    await context.set_offline(offline=True)
    await expect(page.locator("#connection")).not_to_have_attribute("data-status", "live", timeout=PATIENCE_MS)
    await context.set_offline(offline=False)
    await expect_three_finished(page)
