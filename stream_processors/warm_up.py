"""The warm-up: what a process builds on its first task is built before it says that it is ready.

Without it the first task waits for some three hundred classes of the SDK and some five hundred patterns of the rules,
and on a worker that restarts in the middle of a rush all tasks that it takes over wait with it.
"""

import asyncio
from contextlib import aclosing

import httpx2
import structlog

from contracts.attempt import Attempt
from contracts.task import TaskId
from stream_processors.deadline import Deadline
from stream_processors.errors import ModelError
from stream_processors.model import ModelCall, Purpose
from stream_processors.model_settings import ModelSettings
from stream_processors.openai_model import OpenAIModel
from stream_processors.revision import mend
from student_records.edition import Edition, known_school_years, load_edition
from student_records.errors import RecordsError
from student_records.fitting import fit
from student_records.items import Item, SchoolLevel
from student_records.prompts import Prompt, draft_prompt
from student_records.viewpoints import viewpoints_for

_LONGEST_SECONDS = 10.0
_SENTENCE = "모둠 활동에서 자료를 정리하고 친구들에게 설명함."
_ANSWERS = {
    "responses": (
        f'data: {{"type":"response.output_text.delta","delta":"{_SENTENCE}"}}\n\n'
        'data: {"type":"response.completed","response":{}}\n\n'
    ),
    "chat": f'data: {{"choices":[{{"delta":{{"content":"{_SENTENCE}"}},"finish_reason":"stop"}}]}}\n\ndata: [DONE]\n\n',
}

log = structlog.get_logger(__name__)


async def warm_up(settings: ModelSettings) -> None:
    """Check a sentence by the newest rules and make a call that never leaves the process; ten seconds at most.

    What goes wrong here is logged and left to the first task, which can tell its teacher.
    """
    begun = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            await asyncio.to_thread(_rehearse_rules)
            await _rehearse_call(settings)
    except (RecordsError, ModelError, TimeoutError) as error:
        log.warning("worker.not_warmed_up", error=type(error).__name__)
    else:
        log.info("worker.warmed_up", duration_seconds=asyncio.get_running_loop().time() - begun)


def _rehearse_rules() -> None:
    edition = load_edition(known_school_years()[-1])
    for level in SchoolLevel:
        for item in edition.limits[level]:
            _rehearse_item(edition, level, item)


def _rehearse_item(edition: Edition, level: SchoolLevel, item: Item) -> None:
    for viewpoint in viewpoints_for(edition, item, 1):
        draft_prompt(edition, level, item, viewpoint, _SENTENCE)
    fit(mend(_SENTENCE, edition, item).text, edition.limits[level][item].bytes)


async def _rehearse_call(settings: ModelSettings) -> None:
    headers = {"content-type": "text/event-stream"}
    content = _ANSWERS[settings.api].encode()
    model = OpenAIModel(
        settings, transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=content))
    )
    prompt = Prompt(_SENTENCE, _SENTENCE)
    call = ModelCall(TaskId("0" * 32), 1, Purpose.DRAFT, Attempt(0, 0), prompt, Deadline.after(_LONGEST_SECONDS))
    try:
        async with aclosing(model.stream(call)) as stream:  # type: ignore[type-var]  # see Model.stream
            async for _ in stream:
                pass
    finally:
        await model.close()
