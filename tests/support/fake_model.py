"""A model without a network: it plays scripts and remembers its calls. Held to the adapter's behaviour suite."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from contracts.events import Reason
from stream_processors.errors import ModelError
from stream_processors.model import Delta, Finished, ModelCall, Purpose

CLEAN_TEXT = (
    "모둠에서 자료를 모아 표로 정리하고 친구들에게 근거를 들어 설명함. "
    "결과가 예상과 다르자 조건을 하나씩 바꾸어 다시 실험함. "
    "맡은 역할을 끝까지 해내고 다른 의견을 귀담아들음."
)


@dataclass(frozen=True)
class Script:
    """One answer: its text in pieces, the seconds before each, and how it ends."""

    text: str = CLEAN_TEXT
    piece_count: int = 8
    first_seconds: float = 0.5
    piece_seconds: float = 0.1
    failure: ModelError | None = None
    fails_after: int | None = None
    """After how many pieces it fails; None is before the first."""

    def pieces(self) -> list[str]:
        size = max(1, -(-len(self.text) // self.piece_count))
        return [self.text[start : start + size] for start in range(0, len(self.text), size)]


def failing(reason: Reason, *, after: int | None = None, retry_after_seconds: float | None = None) -> Script:
    """Return a script that fails, before any text or after some pieces."""
    error = ModelError(reason, "scripted", retry_after_seconds=retry_after_seconds)
    return Script(failure=error, fails_after=after)


Choose = Callable[[ModelCall], Script]


@dataclass
class FakeModel:
    """Plays, for each version and purpose, its scripts in turn; the last one is played again and again."""

    default: Script = field(default_factory=Script)
    scripts: dict[tuple[int | None, Purpose], Sequence[Script]] = field(default_factory=dict)
    calls: list[ModelCall] = field(default_factory=list)
    started_at: list[float] = field(default_factory=list)
    closed_count: int = 0
    running_count: int = 0
    peak_running_count: int = 0

    def plays(self, *scripts: Script, version: int | None = None, purpose: Purpose = Purpose.DRAFT) -> "FakeModel":
        """Set the scripts of a version's calls, or of all versions'."""
        self.scripts[version, purpose] = scripts
        return self

    def calls_of(self, version: int, purpose: Purpose | None = None) -> list[ModelCall]:
        """The calls made for a version."""
        return [call for call in self.calls if call.version == version and purpose in (None, call.purpose)]

    async def stream(self, call: ModelCall) -> AsyncIterator[Delta | Finished]:
        script = self._choose(call)
        self.calls.append(call)
        self.started_at.append(asyncio.get_running_loop().time())
        self.running_count += 1
        self.peak_running_count = max(self.peak_running_count, self.running_count)
        try:
            async for item in self._play(script):
                yield item
        finally:
            self.running_count -= 1
            self.closed_count += 1

    async def _play(self, script: Script) -> AsyncIterator[Delta | Finished]:
        await asyncio.sleep(script.first_seconds)
        for number, piece in enumerate(script.pieces()):
            if script.failure is not None and number == (script.fails_after or 0):
                raise script.failure
            if number:
                await asyncio.sleep(script.piece_seconds)
            yield Delta(piece)
        if script.failure is not None:
            raise script.failure
        yield Finished(script.text, 100, 200, "fake", "resp_fake", "req_fake", "default")

    def _choose(self, call: ModelCall) -> Script:
        for version in (call.version, None):
            if scripts := self.scripts.get((version, call.purpose)):
                made = len(self.calls_of(call.version, call.purpose))
                return scripts[min(made, len(scripts) - 1)]
        return self.default
