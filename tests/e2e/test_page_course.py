"""From the notes to three texts: what a teacher sees when all goes well, and when some of it does not."""

import asyncio

import pytest
from playwright.async_api import BrowserContext, Page, expect

from contracts.events import Phase, Reason
from tests.e2e.page_steps import NOTES, column, editor_of, open_page, show, submit, text_of
from tests.support.page_server import PageServer

pytestmark = pytest.mark.needs("chromium")


NOTE_FRAMES = """() => {
    window.framesMs = [];
    let last = performance.now();
    const note = (now) => { window.framesMs.push(now - last); last = now; requestAnimationFrame(note); };
    requestAnimationFrame(note);
}"""


async def median_frame_ms(page: Page) -> float:
    """Return the usual time between two frames since it was last asked."""
    frames: list[float] = sorted(await page.evaluate("() => window.framesMs.splice(0)"))
    return frames[len(frames) // 2]


async def test_a_submission_grows_into_three_texts(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server, label="3번")
    await expect(page.locator("#task h2")).to_have_text("3번")
    assert server.submissions[0].body == {
        "item": "subject",
        "school_level": "high",
        "notes": NOTES,
        "version_count": 3,
        "target_ratio": 1,
    }
    task.start()
    for number in (1, 2, 3):
        task.enter(number, Phase.DRAFTING)
        task.say(number, f"글 {number}: 온도를 ")
    await expect(text_of(page, 2)).to_have_text("글 2: 온도를 ")
    await expect(column(page, 2).locator('li[data-state="now"]')).to_have_text("초안 작성")
    task.say(2, "잼 😀.")
    await expect(text_of(page, 2)).to_have_text("글 2: 온도를 잼 😀.")
    task.enter(2, Phase.CHECKING)
    await expect(column(page, 2).locator('li[data-state="now"]')).to_have_text("금지어 점검")
    task.enter(2, Phase.FITTING)
    await expect(column(page, 2).locator('li[data-state="now"]')).to_have_text("분량 맞춤")
    for number in (1, 2, 3):
        task.complete(number)
    task.succeed()
    await expect(page.locator(".stage")).to_have_text("다 씀")
    await expect(editor_of(page, 2)).to_have_value("글 2: 온도를 잼 😀.")
    await expect(column(page, 2).locator(".bytes-size")).to_have_text("26 / 1,500바이트")
    await expect(page.locator("#tasks-running")).to_have_text("")


async def test_two_clicks_make_one_task(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    await page.fill("#notes", NOTES)
    await page.dblclick("#submit")
    await expect(page.locator(".version")).to_have_count(3)
    assert len(server.submissions) == 1
    assert len(server.tasks) == 1


async def test_a_busy_server_is_asked_again_with_the_same_key_and_the_teacher_sees_it(
    page: Page, server: PageServer
) -> None:
    server.refusals.extend([503, 503])
    await open_page(page, server)
    await page.fill("#notes", NOTES)
    await page.click("#submit")
    await expect(page.locator("#form-status")).to_contain_text("같은 요청을 다시 보냅니다 (2/6)")
    await expect(page.locator("#submit")).to_be_disabled()
    await expect(page.locator(".version")).to_have_count(3)
    assert [submission.answer for submission in server.submissions] == [503, 503, 202]
    assert len({submission.key for submission in server.submissions}) == 1


async def test_a_second_click_after_all_tries_failed_is_still_the_same_submission(
    page: Page, server: PageServer
) -> None:
    server.refusals.extend([503] * 6)
    await open_page(page, server)
    await page.fill("#notes", NOTES)
    await page.click("#submit")
    await expect(page.locator("#form-status")).to_contain_text("잠시 뒤에 다시 눌러 주세요")
    await page.click("#submit")
    await expect(page.locator(".version")).to_have_count(3)
    assert [submission.answer for submission in server.submissions] == [503] * 6 + [202]
    assert len({submission.key for submission in server.submissions}) == 1


async def test_a_refused_submission_keeps_the_notes(page: Page, server: PageServer) -> None:
    server.refusals.append(422)
    await open_page(page, server)
    await page.fill("#notes", NOTES)
    await page.click("#submit")
    await expect(page.locator("#form-status")).to_contain_text("받아들이지 않았습니다")
    await expect(page.locator("#notes")).to_have_value(NOTES)
    await expect(page.locator("#submit")).to_be_enabled()


async def test_notes_are_counted_as_they_are_typed(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    await page.fill("#notes", "가나다 😀")
    await expect(page.locator("#notes-count")).to_have_text("5 / 20,000자")
    await page.fill("#notes", "가" * 20_001)
    await expect(page.locator("#submit")).to_be_disabled()


async def test_a_level_offers_its_own_items_and_limits(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    await page.select_option("#item", "behavior")
    await expect(page.locator("#item-limit")).to_contain_text("300자 · 900바이트까지")
    await page.select_option("#item", "volunteer")
    await page.select_option("#school-level", "middle")
    await expect(page.locator("#item")).to_have_value("subject")


@pytest.mark.parametrize("reason", [Reason.FORBIDDEN_CONTENT, Reason.RATE_LIMITED])
async def test_one_failed_version_leaves_the_others(page: Page, server: PageServer, reason: Reason) -> None:
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    for number in (1, 2, 3):
        task.say(number, f"글 {number}.")
    task.complete(1)
    task.complete(3)
    task.fail_version(2, reason)
    task.succeed()
    await expect(page.locator(".task-notice")).to_contain_text("3가지 가운데 2가지를 썼습니다")
    await expect(column(page, 2).locator(".version-notice")).to_contain_text("여기까지 쓰인 글은 남겨 두었습니다")
    await expect(text_of(page, 2)).to_have_text("글 2.")
    await expect(column(page, 2).locator(".copy")).to_be_hidden()
    await expect(editor_of(page, 3)).to_have_value("글 3.")


async def test_a_failed_task_says_why_and_offers_its_notes_again(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    task.fail(Reason.QUOTA_EXHAUSTED)
    await expect(page.locator(".task-notice")).to_contain_text("모델 사용량을 다 썼습니다")
    await page.get_by_role("button", name="이 메모로 다시 만들기").click()
    await expect(page.locator("#notes")).to_have_value(NOTES)
    assert len(server.submissions) == 1


async def test_cancelling_keeps_what_is_complete(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    task.say(1, "마친 글.")
    task.complete(1)
    task.say(2, "쓰다 만")
    await page.get_by_role("button", name="멈추기").click()
    await expect(page.get_by_role("button", name="멈추기")).to_be_disabled()
    assert server.cancellations == [task.task_id]
    task.cancel()
    await expect(page.locator(".stage")).to_have_text("멈춤")
    await expect(editor_of(page, 1)).to_have_value("마친 글.")
    await expect(text_of(page, 2)).to_have_text("쓰다 만")


async def test_a_task_that_expired_says_so(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server)
    task.expire()
    await expect(page.locator(".task-notice")).to_contain_text("차례가 오기 전에 시간이 지났습니다")


async def test_a_task_past_its_deadline_is_called_late(page: Page, server: PageServer) -> None:
    task = server.new_task(start_seconds=-5)
    await open_page(page, server)
    await show(page, task)
    await expect(page.locator(".stage")).to_have_text("늦어짐")
    await expect(page.locator(".task-notice")).to_contain_text("시작할 시간이 지났는데")


async def test_a_wait_is_told_with_its_reason(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    task.wait(Reason.RATE_LIMITED, 30)
    await expect(page.locator(".task-notice")).to_contain_text("모델에 요청이 몰려 기다리고 있습니다. 약")


async def test_a_new_attempt_takes_half_written_text_back(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    task.say(1, "반쯤 쓴")
    await expect(text_of(page, 1)).to_have_text("반쯤 쓴")
    task.begin_again()
    task.say(1, "새로 쓴")
    await expect(text_of(page, 1)).to_have_text("새로 쓴")


async def test_another_students_text_never_stays_on_screen(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    first = await submit(page, server, label="1번")
    first.start()
    first.say(1, "첫째 학생의 글")
    await expect(text_of(page, 1)).to_have_text("첫째 학생의 글")
    await page.click("#new-task")
    await expect(page.locator("#notes")).to_have_value("")
    await submit(page, server, label="2번")
    await expect(page.locator("#task h2")).to_have_text("2번")
    await expect(page.locator("#task")).not_to_contain_text("첫째 학생의 글")
    await show(page, first)
    await expect(text_of(page, 1)).to_have_text("첫째 학생의 글")


async def test_the_reader_is_not_pulled_down_while_reading_further_up(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    task = await submit(page, server)
    task.start()
    task.enter(1, Phase.DRAFTING)
    sheet = column(page, 1).locator(".sheet")
    task.say(1, "온도를 재고 기록함. " * 80)
    await expect(text_of(page, 1)).to_contain_text("기록함.")
    at_end = "sheet => sheet.scrollHeight - sheet.scrollTop - sheet.clientHeight < 2"
    await page.wait_for_function(f"({at_end})(document.querySelector('.sheet'))")
    scrolled = "new Promise(done => sheet.addEventListener('scroll', () => done(), {once: true}))"
    await sheet.evaluate(f"sheet => {{ const scrolled = {scrolled}; sheet.scrollTop = 0; return scrolled; }}")
    task.say(1, "끝말.")
    await expect(text_of(page, 1)).to_contain_text("끝말.")
    assert await sheet.evaluate("sheet => sheet.scrollTop") == 0


async def test_simulated_texts_are_marked_and_real_ones_are_not(context: BrowserContext, server: PageServer) -> None:
    simulated = await context.new_page()
    await open_page(simulated, server)
    await expect(simulated.locator("#simulated")).to_be_visible()
    await expect(simulated.locator("#sample-notes")).to_be_visible()
    server.simulated = False
    real = await context.new_page()
    await open_page(real, server)
    await expect(real.locator("#simulated")).to_be_hidden()
    await expect(real.locator("#sample-notes")).to_be_hidden()


async def test_thirty_tasks_at_once_stay_smooth(page: Page, server: PageServer) -> None:
    await open_page(page, server)
    tasks = [server.new_task() for _ in range(30)]
    await expect(page.locator("a.row")).to_have_count(30)
    await show(page, tasks[7])
    await page.evaluate(NOTE_FRAMES)
    await page.wait_for_function("() => window.framesMs.length >= 30")
    idle_ms = await median_frame_ms(page)
    for task in tasks:
        task.start()
    for _ in range(40):
        for task in tasks:
            for number in (1, 2, 3):
                task.say(number, "온도를 재어 봄. ")
        await asyncio.sleep(0.05)
    for task in tasks:
        for number in (1, 2, 3):
            task.complete(number)
        task.succeed()
    await expect(page.locator('a.row[data-tone="good"]')).to_have_count(30)
    await expect(editor_of(page, 3)).to_have_value("온도를 재어 봄. " * 40)
    assert await median_frame_ms(page) < max(50, 3 * idle_ms)
