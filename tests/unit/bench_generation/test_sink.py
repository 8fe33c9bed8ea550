from bench.generation.assignment import prompts, requests
from bench.generation.sink import Sink
from contracts.attempt import Attempt
from contracts.events import Reason, TaskFailed
from stream_processors.emitter import Emitter
from tests.support.clock import at
from tests.support.generation import ORIGIN, TASK_ID


async def test_a_sink_acknowledges_in_order_and_notes_the_first_words() -> None:
    emitter = Emitter(sink := Sink(), TASK_ID, Attempt(1, 1), ORIGIN)
    await emitter.delta(1, "가")
    position = await emitter.finish(TaskFailed, reason=Reason.INTERNAL, ended_at=at(0))
    assert sink.first_words_at is not None
    assert (position.offset, sink.count) == (1, 2)


async def test_without_words_there_is_no_first_one() -> None:
    emitter = Emitter(sink := Sink(), TASK_ID, Attempt(1, 1), ORIGIN)
    await emitter.finish(TaskFailed, reason=Reason.INTERNAL, ended_at=at(0))
    assert sink.first_words_at is None


def test_every_task_has_three_prompts_of_its_own() -> None:
    assert all(len(set(prompts(request))) == 3 for request in requests(3))
