"""The port to a language model, and what goes through it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from contracts.attempt import Attempt
from contracts.task import TaskId
from stream_processors.deadline import Deadline
from student_records.prompts import Prompt


class Purpose(StrEnum):
    """What a call is for."""

    DRAFT = "draft"
    REWRITE = "rewrite"
    SHORTEN = "shorten"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call: the prompt, whom it is for, and when it must be over."""

    task_id: TaskId
    version: int
    purpose: Purpose
    attempt: Attempt
    prompt: Prompt
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Delta:
    """New text; never empty."""

    text: str

    def __repr__(self) -> str:
        return f"Delta({len(self.text)} characters)"


@dataclass(frozen=True, slots=True)
class Finished:
    """The good end of an answer: the whole text, never empty, and what is known of its making.

    A token count is None where the other side told none; ids and names are empty then.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str = ""
    response_id: str = ""
    request_id: str = ""
    service_tier: str = ""

    def __repr__(self) -> str:
        return f"Finished({len(self.text)} characters)"


class Model(Protocol):
    """A language model that writes one text at a time."""

    def stream(self, call: ModelCall) -> AsyncIterator[Delta | Finished]:
        """Yield the deltas of an answer, then `Finished` as the last item.

        Raises ModelError in place of `Finished`, and nothing else. Closing the iterator, or cancelling the task that
        waits for it, ends the call at the other side too. The iterator is an asynchronous generator: close it with
        `contextlib.aclosing`.
        """
