"""A model that does what the notes say: `[[pieces=20 pause=0.1 stagger=3]]`, `[[poison]]`. For a test's processes."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream_processors.model import Delta, Finished, ModelCall
from stream_processors.services import Services

TEXT = (
    "모둠에서 자료를 모아 표로 정리하고 친구들에게 근거를 들어 설명함. "
    "결과가 예상과 다르자 조건을 하나씩 바꾸어 다시 실험함. "
    "맡은 역할을 끝까지 해내고 다른 의견을 귀담아들음."
)
_SCRIPT = re.compile(r"\[\[(.*?)\]\]")


class ScriptedModel:
    """Writes the same text in as many pieces and with such pauses as the notes say; poison kills the process."""

    async def stream(self, call: ModelCall) -> AsyncIterator[Delta | Finished]:
        script = _script(call.prompt.input)
        pieces = int(script.get("pieces", 3))
        size = -(-len(TEXT) // pieces)
        for number, start in enumerate(range(0, len(TEXT), size)):
            await asyncio.sleep(
                float(script.get("pause", 0)) + (call.version - 1) * float(script.get("stagger", 0)) / pieces
            )
            yield Delta(TEXT[start : start + size])
            if "poison" in script and number == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        yield Finished(TEXT, 10, 10, "scripted")


@asynccontextmanager
async def scripted_services() -> AsyncIterator[Services]:
    yield Services(model=ScriptedModel())


def _script(prompt: str) -> dict[str, str]:
    if not (found := _SCRIPT.search(prompt)):
        return {}
    words = (word.partition("=") for word in found[1].split())
    return {name: value for name, _, value in words}
