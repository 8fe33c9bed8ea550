"""What it costs to read a stream that is in memory already: no sockets, so a busy machine hardly changes it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
from openai import AsyncOpenAI

from contracts.attempt import Attempt
from contracts.task import TaskId
from stream_processors.deadline import Deadline
from stream_processors.model import Delta, ModelCall, Purpose
from stream_processors.model_settings import ModelSettings
from stream_processors.openai_model import OpenAIModel
from stream_processors.streamed_text import StreamedText
from student_records.prompts import Prompt

_URL = "http://127.0.0.1:1/v1"
_PIECE_COUNT = 2000
_TRIES = 7
_PIECE = {
    "type": "response.output_text.delta",
    "item_id": "msg_0123456789abcdef",
    "output_index": 0,
    "content_index": 0,
    "delta": "자료를 ",
    "sequence_number": 123,
    "logprobs": [],
}
_CHUNK = b"event: response.output_text.delta\ndata: %b\n\n" % json.dumps(_PIECE, ensure_ascii=False).encode()
_END = b'data: {"type":"response.completed","response":{"id":"r"}}\n\n'


class _Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(_PIECE_COUNT):
            yield _CHUNK
        yield _END


def measure_reading() -> dict[str, float]:
    """Return microseconds of processor time for each piece: the best of several tries of each way."""
    ways = {"floor": _read_lines, "ours": _read_ours, "sdk": _read_sdk}
    return {f"reading_{name}_us_per_piece": min(_try(way) for _ in range(_TRIES)) for name, way in ways.items()}


def _try(way: Callable[[httpx2.MockTransport], Awaitable[None]]) -> float:
    async def read() -> float:
        headers = {"content-type": "text/event-stream"}
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, stream=_Body()))
        begun = time.process_time()
        await way(transport)
        return 1e6 * (time.process_time() - begun) / _PIECE_COUNT

    return asyncio.run(read())


async def _read_lines(transport: httpx2.MockTransport) -> None:
    async with httpx2.AsyncClient(transport=transport) as client, client.stream("POST", _URL) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                json.loads(line[6:])


async def _read_ours(transport: httpx2.MockTransport) -> None:
    model = OpenAIModel(ModelSettings(base_url=_URL, simulated=True), transport=transport)
    prompt = Prompt("지시", "기록")
    call = ModelCall(TaskId("0" * 32), 1, Purpose.DRAFT, Attempt(1, 1), prompt, Deadline.after(600))
    text = StreamedText()
    async for item in model.stream(call):
        if isinstance(item, Delta):
            text.feed(item.text)
    await model.close()


async def _read_sdk(transport: httpx2.MockTransport) -> None:
    http_client = httpx2.AsyncClient(transport=transport)
    async with (
        AsyncOpenAI(api_key="none", base_url=_URL, http_client=http_client) as client,
        await client.responses.create(model="m", input="기록", stream=True) as events,
    ):
        async for _ in events:
            pass
