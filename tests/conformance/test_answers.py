"""Section "Answers": statuses and problem documents."""

import contextlib

import pytest

from tests.conformance.promises import promises
from tests.conformance.scene import Scene

PROBLEMS = "errors are problem documents (RFC 9457, `application/problem+json`)"
OVERLOADED = "with a long `retry:`, then the stream ends"


@promises("A repeated header or parameter gets 400.")
async def test_a_repeated_header_or_parameter_gets_400(scene: Scene) -> None:
    story = scene.begin()
    cursor, ticket = await scene.reach(story), scene.ticket(story)
    path = scene.path(story)
    answers = {
        "Last-Event-ID": await scene.get(path, ticket, headers=[("Last-Event-ID", cursor)] * 2),
        "after": await scene.get(f"{path}?after={cursor}&after={cursor}", ticket),
        "ticket": await scene.get(f"{path}?ticket={ticket}&ticket={ticket}"),
        "Authorization": await scene.get(path, headers=[("Authorization", f"Bearer {ticket}")] * 2),
    }
    assert {name: (answer.status_code, answer.json()["type"]) for name, answer in answers.items()} == dict.fromkeys(
        answers, (400, "/problems/repeated-parameter")
    )


@promises(PROBLEMS)
async def test_a_refusal_is_a_problem_document_that_is_not_stored(scene: Scene) -> None:
    story = scene.begin()
    ticket, path = scene.ticket(story), scene.path(story)
    await scene.reach(story)
    for answer in (
        await scene.get(path),
        await scene.get(path, ticket, params={"after": "x"}),
        await scene.get("/v1/tasks/x/events", ticket),
        await scene.get("/v1/nothing", ticket),
    ):
        problem = answer.json()
        assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
        assert problem["status"] == answer.status_code
        assert {"type", "title"} <= problem.keys()
        assert "no-store" in answer.headers["cache-control"]


@promises(OVERLOADED, "the stream; also when the relay is overloaded (see below)")
@pytest.mark.needs_option("--streams-per-owner")
async def test_an_owner_with_too_many_streams_is_told_on_the_stream(scene: Scene) -> None:
    story = scene.begin()
    await scene.reach(story)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(scene.target.streams_per_owner):
            viewer = await stack.enter_async_context(scene.watch_owner())
            assert (await viewer.until("synced")).json == {"task_count": 1}
        async with scene.watch_owner() as refused, scene.watch(story) as also_refused:
            for viewer in (refused, also_refused):
                assert viewer.status == 200
                (overloaded,) = await viewer.rest()
                assert (overloaded.type, overloaded.json) == ("overloaded", {"reason": "too_many_streams"})
                assert viewer.stream.retry_ms is not None
                assert viewer.stream.retry_ms >= 10_000
        async with scene.watch_owner(owner=f"{scene.owner}-other") as other:
            assert (await other.next()).type == "synced"
    async with scene.watch_owner() as again:
        assert (await again.until("synced")).json == {"task_count": 1}


@promises("`retry:` says when.")
async def test_a_stream_says_when_to_come_back(scene: Scene) -> None:
    story = scene.begin()
    async with scene.watch(story) as viewer, scene.watch_owner() as owner:
        await viewer.next()
        await owner.next()
    assert viewer.stream.retry_ms
    assert owner.stream.retry_ms
