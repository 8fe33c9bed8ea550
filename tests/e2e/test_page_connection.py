"""A refresh, a cut, an expired ticket, lost history, a busy or restarted relay: the teacher sees the same text."""

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.page_steps import column, editor_of, open_page, show, submit, text_of
from tests.support.page_server import PageServer
from tests.support.scripted_task import ScriptedTask

pytestmark = pytest.mark.needs("chromium")


async def half_written(page: Page, server: PageServer) -> ScriptedTask:
    await open_page(page, server)
    task = await submit(page, server, label="3번")
    task.start()
    task.say(1, "하나 둘 ")
    await expect(text_of(page, 1)).to_have_text("하나 둘 ")
    return task


async def goes_on(page: Page, task: ScriptedTask) -> None:
    """The text goes on from where it was, with nothing doubled and nothing missing."""
    task.say(1, "셋 넷.")
    await expect(text_of(page, 1)).to_have_text("하나 둘 셋 넷.")
    await expect(page.locator("#connection")).to_have_attribute("data-status", "live")


async def test_a_refresh_in_the_middle_loses_nothing(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    await page.reload()
    await expect(page.locator("#task h2")).to_have_text("3번")
    await expect(text_of(page, 1)).to_have_text("하나 둘 ")
    await goes_on(page, task)


async def test_a_cut_connection_resumes_without_doubled_text(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    server.cut()
    task.say(1, "셋 ")
    await expect(text_of(page, 1)).to_have_text("하나 둘 셋 ")
    task.say(1, "넷.")
    await expect(text_of(page, 1)).to_have_text("하나 둘 셋 넷.")
    assert server.openings[-1].last_event_id == "0-2"


async def test_an_expired_ticket_is_replaced_and_the_stream_goes_on(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    server.expire_tickets()
    server.cut()
    await goes_on(page, task)
    refused, resumed = server.openings[-2:]
    assert (refused.answer, resumed.answer) == (401, 200)
    assert resumed.ticket != refused.ticket
    assert resumed.after == "0-2"


async def test_lost_history_is_told_and_made_good_by_snapshots(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    server.cut()
    task.begin_again()
    task.say(1, "처음부터 ")
    server.forget()
    await expect(page.locator("#toast")).to_contain_text("지금 상태부터 다시 보여 드립니다")
    await expect(text_of(page, 1)).to_have_text("처음부터 ")
    task.say(1, "다시.")
    await expect(text_of(page, 1)).to_have_text("처음부터 다시.")


async def test_an_overloaded_relay_is_waited_for(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    server.is_overloaded = True
    server.cut()
    await expect(page.locator("#connection")).to_contain_text("서버가 붐벼")
    await expect(text_of(page, 1)).to_have_text("하나 둘 ")
    server.is_overloaded = False
    await goes_on(page, task)


async def test_a_restarted_relay_is_found_again(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    await server.stop()
    await expect(page.locator("#connection")).to_contain_text("다시 연결하는 중")
    await server.start()
    await goes_on(page, task)


async def test_a_computer_without_network_says_so_and_comes_back(
    page: Page, context: BrowserContext, server: PageServer
) -> None:
    task = await half_written(page, server)
    await context.set_offline(True)
    await expect(page.locator("#connection")).to_contain_text("인터넷이 끊겼습니다")
    await context.set_offline(False)
    await goes_on(page, task)


async def test_a_second_tab_sees_the_same_and_disturbs_nothing(
    page: Page, context: BrowserContext, server: PageServer
) -> None:
    task = await half_written(page, server)
    second = await context.new_page()
    await open_page(second, server)
    await show(second, task)
    await goes_on(page, task)
    await expect(text_of(second, 1)).to_have_text("하나 둘 셋 넷.")
    assert server.stream_count == 2


async def test_a_task_of_another_device_appears_by_itself(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = server.new_task("club")
    await expect(page.locator("a.row")).to_have_count(1)
    await expect(page.locator(".row-name")).to_have_text("동아리활동")
    await show(page, task)


async def test_edits_survive_a_refresh_and_can_be_taken_back(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    task.complete(1)
    await editor_of(page, 1).fill("고친 글.")
    await page.reload()
    await expect(editor_of(page, 1)).to_have_value("고친 글.")
    await expect(column(page, 1).locator(".badge")).to_have_text("고침")
    await page.get_by_role("button", name="원래 초안으로").click()
    await expect(editor_of(page, 1)).to_have_value("하나 둘 ")
    await page.reload()
    await expect(editor_of(page, 1)).to_have_value("하나 둘 ")


async def test_notes_being_written_survive_a_refresh(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    await page.select_option("#item", "behavior")
    await page.fill("#notes", "쓰던 메모")
    await page.reload()
    await expect(page.locator("#notes")).to_have_value("쓰던 메모")
    await expect(page.locator("#item")).to_have_value("behavior")


async def test_what_the_browser_keeps_can_be_cleared(page: Page, server: PageServer) -> None:
    task = await half_written(page, server)
    task.complete(1)
    await editor_of(page, 1).fill("고친 글.")
    await page.click("#settings summary")
    await page.click("#clear-drafts")
    await expect(page.locator("#toast")).to_contain_text("지웠습니다")
    await expect(editor_of(page, 1)).to_have_value("하나 둘 ")
    kept = await page.evaluate("() => JSON.stringify(localStorage)")
    assert "고친" not in kept
    assert "온도" not in kept
    assert "3번" not in kept
