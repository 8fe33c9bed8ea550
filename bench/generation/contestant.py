"""One contestant in a process of its own: `python -m bench.generation.contestant NAME URL COUNT`; prints JSON."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine

import httpx2
import structlog
from openai import AsyncOpenAI

from bench.generation.assignment import prompts, requests
from bench.generation.sink import Sink
from contracts.attempt import Attempt
from contracts.codec import Origin
from contracts.commands import GenerationRequest
from contracts.lifecycle import TaskState
from contracts.task import OwnerId
from stream_processors.delta_pace import DeltaPace
from stream_processors.emitter import Emitter
from stream_processors.execution import execute
from stream_processors.model_access import open_services
from stream_processors.model_settings import ModelSettings
from stream_processors.warm_up import warm_up
from student_records.prompts import Prompt

_MODEL = "gpt-5.4-mini"
_FIRST_COUNT = 10


async def measure_ours(url: str, asked: list[GenerationRequest]) -> dict[str, float]:
    """Execute the tasks at once; the records go nowhere."""
    return await _measure_paced(url, asked, DeltaPace())


async def measure_steady(url: str, asked: list[GenerationRequest]) -> dict[str, float]:
    """Do the same and join deltas for 50 ms, however many versions stream."""
    return await _measure_paced(url, asked, DeltaPace(longest_seconds=0.05))


async def _measure_paced(url: str, asked: list[GenerationRequest], pace: DeltaPace) -> dict[str, float]:
    settings = ModelSettings(base_url=url, simulated=True, concurrent_call_count=3 * len(asked))
    async with open_services(settings) as services:
        sinks = [Sink() for _ in asked]

        async def run(request: GenerationRequest, sink: Sink) -> None:
            emitter = Emitter(sink, request.task_id, Attempt(1, 1), Origin(OwnerId("bench"), "bench"), pace=pace)
            await execute(request, TaskState(request.task_id), emitter, services, cancelled=asyncio.Event())

        used = await _processor_seconds(
            asyncio.gather(*(run(request, sink) for request, sink in zip(asked, sinks, strict=True)))
        )
        return {"cpu_seconds": used, "records": sum(sink.count for sink in sinks)}


async def measure_warm(url: str, asked: list[GenerationRequest]) -> dict[str, float]:
    """Execute tasks one behind the other in a process that is new and has warmed up."""
    await warm_up(ModelSettings(base_url=url, simulated=True))
    return await measure_cold(url, asked)


async def measure_cold(url: str, asked: list[GenerationRequest]) -> dict[str, float]:
    """Execute tasks one behind the other; how long each needs until its first words, and its processor time."""
    async with open_services(ModelSettings(base_url=url, simulated=True)) as services:
        first_words: list[float] = []
        cpu: list[float] = []
        for request in asked[:_FIRST_COUNT]:
            begun, begun_cpu, sink = time.perf_counter(), time.process_time(), Sink()
            emitter = Emitter(sink, request.task_id, Attempt(1, 1), Origin(OwnerId("bench"), "bench"))
            await execute(request, TaskState(request.task_id), emitter, services, cancelled=asyncio.Event())
            first_words.append(1000 * ((sink.first_words_at or time.perf_counter()) - begun))
            cpu.append(1000 * (time.process_time() - begun_cpu))
        return {
            "first_task_words_ms": first_words[0],
            "later_tasks_words_ms": sorted(first_words[1:])[len(first_words) // 2],
            "first_task_cpu_ms": cpu[0],
            "later_tasks_cpu_ms": sorted(cpu[1:])[len(cpu) // 2],
        }


async def measure_floor(url: str, asked: list[GenerationRequest]) -> dict[str, float]:
    """Make the same calls with nothing but the HTTP client, its lines and `json.loads`."""
    limits = httpx2.Limits(max_connections=None)
    headers = {"authorization": "Bearer none"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=600, trust_env=False) as client:

        async def call(prompt: Prompt) -> str:
            text = ""
            async with client.stream(
                "POST", "/responses", json={"model": _MODEL, "stream": True, **_fields(prompt)}
            ) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        event = json.loads(line[6:])
                        if event["type"] == "response.output_text.delta":
                            text += event["delta"]
            return text

        return {"cpu_seconds": await _processor_seconds(_all(call, asked))}


async def measure_sdk(url: str, asked: list[GenerationRequest]) -> dict[str, float]:
    """Make the same calls and let the SDK read the streams."""
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0, timeout=600) as client:

        async def call(prompt: Prompt) -> str:
            text = ""
            async with await client.responses.create(model=_MODEL, stream=True, **_fields(prompt)) as events:  # type: ignore[call-overload]  # the fields are a dict
                async for event in events:
                    if event.type == "response.output_text.delta":
                        text += event.delta
            return text

        return {"cpu_seconds": await _processor_seconds(_all(call, asked))}


MEASURES: dict[str, Callable[[str, list[GenerationRequest]], Coroutine[None, None, dict[str, float]]]] = {
    "floor": measure_floor,
    "ours": measure_ours,
    "steady": measure_steady,
    "sdk": measure_sdk,
    "warm": measure_warm,
    "cold": measure_cold,
}


def _fields(prompt: Prompt) -> dict[str, str | bool]:
    return {"instructions": prompt.instructions, "input": prompt.input, "store": False}


async def _all(call: Callable[[Prompt], Awaitable[str]], asked: list[GenerationRequest]) -> None:
    texts = await asyncio.gather(*(call(prompt) for request in asked for prompt in prompts(request)))
    if not all(texts):
        raise ValueError("an answer without a text")


async def _processor_seconds(work: Awaitable[object]) -> float:
    begun = time.process_time()
    await work
    return time.process_time() - begun


def main() -> None:
    """Measure one contestant."""
    name, url, count = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(json.dumps(asyncio.run(MEASURES[name](url, requests(int(count))))))


if __name__ == "__main__":
    main()
