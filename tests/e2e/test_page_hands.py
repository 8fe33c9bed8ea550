"""In the teacher's hands: editing, findings, copying, the keyboard, a narrow screen, and texts that mean harm."""

import pytest
from playwright.async_api import BrowserContext, Page, expect

from contracts.findings import Finding, Severity
from tests.e2e.page_steps import NOTES, column, editor_of, open_page, submit, text_of
from tests.support.page_server import PageServer
from tests.support.sample_course import find_in
from tests.support.scripted_task import ScriptedTask

pytestmark = pytest.mark.needs("chromium")

HOSTILE = (
    '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'
    "<svg/onload=window.harmed=1>&lt;b&gt;${window.harmed=1}{{7*7}}"
)


async def completed(page: Page, server: PageServer, text: str, *suggestions: str) -> ScriptedTask:
    """A task whose first version is complete, with one finding for 유튜브 if the text has it."""
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    task.say(1, text)
    findings: tuple[Finding, ...] = ()
    if "유튜브" in text:
        finding = find_in(
            text,
            "유튜브",
            rule_id="names",
            category="상호명",
            severity=Severity.BLOCK,
            reason="특정 상호명은 쓰지 않습니다.",
            clause="3-타",
            fix="replace",
            suggestions=suggestions,
            dismissible=True,
        )
        findings = (finding,)
    task.complete(1, findings=findings)
    await expect(editor_of(page, 1)).to_have_value(text)
    return task


async def copied(page: Page) -> str:
    text: str = await page.evaluate("() => navigator.clipboard.readText()")
    return text


async def test_an_edit_is_counted_at_once(page: Page, server: PageServer) -> None:
    await completed(page, server, "가")
    size = column(page, 1).locator(".bytes")
    await editor_of(page, 1).fill("가\n나")
    await expect(size.locator(".bytes-size")).to_have_text("7 / 1,500바이트")
    await editor_of(page, 1).fill("가" * 450)
    await expect(size).to_have_attribute("data-standing", "near")
    await expect(size.locator(".bytes-note")).to_have_text("150바이트 남음")
    await editor_of(page, 1).fill("가" * 501)
    await expect(size).to_have_attribute("data-standing", "over")
    await expect(size.locator(".bytes-note")).to_have_text("3바이트 넘음")


async def test_enter_can_be_counted_with_care(page: Page, server: PageServer) -> None:
    await completed(page, server, "가\n나")
    await page.click("#settings summary")
    await page.check("#careful-enter")
    await expect(column(page, 1).locator(".bytes-size")).to_have_text("8 / 1,500바이트")


async def test_a_replacement_is_one_click_and_an_edit(page: Page, server: PageServer) -> None:
    await completed(page, server, "자료를 😀 유튜브로 찾음.", "동영상 플랫폼")
    await expect(column(page, 1).locator("mark")).to_have_text("유튜브")
    await expect(column(page, 1).locator(".finding")).to_contain_text("기재요령 3-타")
    await page.get_by_role("button", name="‘동영상 플랫폼’으로 바꾸기").click()
    await expect(editor_of(page, 1)).to_have_value("자료를 😀 동영상 플랫폼으로 찾음.")
    await expect(column(page, 1).locator("mark")).to_have_count(0)
    await expect(column(page, 1).locator(".unchecked")).to_be_visible()


async def test_a_dismissed_finding_stays_away(page: Page, server: PageServer) -> None:
    await completed(page, server, "유튜브로 찾음.")
    await page.get_by_role("button", name="괜찮음").click()
    await expect(column(page, 1).locator("mark")).to_have_count(0)
    await page.reload()
    await expect(editor_of(page, 1)).to_have_value("유튜브로 찾음.")
    await expect(column(page, 1).locator("mark")).to_have_count(0)


async def test_copying_an_unedited_text_warns_and_needs_a_yes(page: Page, server: PageServer) -> None:
    await completed(page, server, "유튜브로 찾음.")
    copy = column(page, 1).locator(".copy")
    await copy.click()
    await expect(page.locator("#copy-warnings")).to_contain_text("5-다")
    await expect(page.locator("#copy-warnings")).to_contain_text("쓸 수 없는 표현이 남아 있습니다")
    await page.get_by_role("button", name="돌아가기").click()
    await expect(page.locator("#toast")).to_have_text("")
    await copy.click()
    await page.click("#copy-confirm")
    await expect(page.locator("#toast")).to_contain_text("복사했습니다")
    assert await copied(page) == "유튜브로 찾음."


async def test_copying_an_edited_text_asks_without_that_warning(page: Page, server: PageServer) -> None:
    await completed(page, server, "온도를 잼.")
    await editor_of(page, 1).fill("온도를 두 번 잼.")
    await column(page, 1).locator(".copy").click()
    await expect(page.locator("#copy-dialog")).to_contain_text("확인한 글만")
    await expect(page.locator("#copy-warnings li")).to_have_count(0)
    await page.click("#copy-confirm")
    await expect(page.locator("#toast")).to_contain_text("복사했습니다")
    assert await copied(page) == "온도를 두 번 잼."


async def test_hostile_text_is_shown_as_text(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server, notes=HOSTILE, label=HOSTILE[:40])
    task.start()
    task.say(1, HOSTILE)
    await expect(text_of(page, 1)).to_have_text(HOSTILE)
    finding = find_in(
        HOSTILE,
        "<script>",
        rule_id="x",
        category="x",
        severity=Severity.BLOCK,
        reason=HOSTILE,
        clause=HOSTILE,
        fix="replace",
        suggestions=(HOSTILE,),
        dismissible=True,
    )
    task.complete(1, findings=(finding,))
    await expect(editor_of(page, 1)).to_have_value(HOSTILE)
    await expect(page.locator("#task h2")).to_have_text(HOSTILE[:40])
    await expect(column(page, 1).locator(".finding-reason")).to_contain_text(HOSTILE)
    assert await page.evaluate("() => window.harmed") is None
    assert await page.locator("#task :is(img, script, svg)").count() == 0


async def test_no_address_ever_holds_a_word_of_the_notes(page: Page, server: PageServer) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    await completed(page, server, "고유한낱말 기록.")
    assert addresses
    assert not [url for url in [*addresses, page.url] if "%" in url or "고유한낱말" in url]


async def test_everything_can_be_done_from_the_keyboard(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.locator("#school-level").focus()
    for target in ("#item", "#target-ratio", "#label", "#notes"):
        await page.keyboard.press("Tab")
        await expect(page.locator(target)).to_be_focused()
    await page.keyboard.insert_text(NOTES)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#task h2")).to_be_focused()
    task = next(iter(server.tasks.values()))
    task.start()
    task.say(1, "마친 글.")
    task.complete(1)
    await expect(editor_of(page, 1)).to_be_visible()
    for place in (page.get_by_role("button", name="멈추기"), editor_of(page, 1), column(page, 1).locator(".copy")):
        await page.keyboard.press("Tab")
        await expect(place).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#copy-confirm")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#copy-dialog")).to_be_hidden()
    await expect(column(page, 1).locator(".copy")).to_be_focused()


async def test_a_narrow_screen_shows_one_version_at_a_time_without_sideways_scrolling(
    page: Page, server: PageServer
) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await completed(page, server, "가나다라마바사" * 60)
    width = "() => document.documentElement.scrollWidth"
    assert await page.evaluate(width) == 360
    await expect(column(page, 1)).to_be_visible()
    await expect(column(page, 2)).to_be_hidden()
    await page.locator(".version-tabs button").nth(1).click()
    await expect(column(page, 2)).to_be_visible()
    await expect(column(page, 1)).to_be_hidden()
    await page.click("#new-task")
    assert await page.evaluate(width) == 360


async def test_phases_are_announced_and_letters_are_not(page: Page, server: PageServer) -> None:
    await completed(page, server, "온도를 잼.")
    await expect(page.locator("#announcer")).to_have_text("탐구 과정: 다 썼습니다.")
    assert await page.locator(".versions [aria-live]").count() == 0


async def test_a_teacher_who_wants_less_motion_gets_none(context: BrowserContext, server: PageServer) -> None:
    page = await context.new_page()
    await page.emulate_media(reduced_motion="reduce")
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    task.say(1, "온도를")
    await expect(text_of(page, 1)).to_have_text("온도를")
    assert await page.evaluate("() => document.getAnimations().length") == 0
