"""Section "Answers": who may read."""

import asyncio

import pytest

from contracts.task import new_task_id
from tests.conformance.promises import promises
from tests.conformance.scene import WAIT_SECONDS, Scene

INVALID = "`/problems/ticket-invalid`: no ticket, not one of ours, or one task's for the owner's stream;"
ALIKE = "the ticket is not for this task, or there is no such task; both answer alike"


@promises(INVALID)
async def test_without_a_ticket_nothing_is_read(scene: Scene) -> None:
    story = scene.begin()
    for path in (scene.path(story), f"/v1/tasks/{story.task_id}", "/v1/events"):
        answer = await scene.get(path)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/ticket-invalid"), path


@promises(INVALID)
@pytest.mark.parametrize("header", ["Basic eA==", "Bearer", "x", "Bearer \u00e9"])
async def test_what_is_no_bearer_ticket_is_refused(scene: Scene, header: str) -> None:
    story = scene.begin()
    answer = await scene.get(scene.path(story), headers=[("Authorization", header)])
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/ticket-invalid")


@promises(INVALID)
@pytest.mark.parametrize("place", ["header", "url"])
async def test_no_forged_ticket_is_accepted(scene: Scene, place: str) -> None:
    story = scene.begin()
    forged = scene.target.tickets.bad(story.task_id, scene.start(story), scene.owner)
    for fault, ticket in forged.items():
        if place == "header":
            answer = await scene.get(scene.path(story), ticket)
        else:
            answer = await scene.get(scene.path(story), params={"ticket": ticket})
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/ticket-invalid"), fault
        assert ticket not in answer.text


@promises("`/problems/ticket-expired`: fetch a new one")
async def test_an_expired_ticket_says_so(scene: Scene) -> None:
    story = scene.begin()
    tickets = scene.target.tickets
    task = tickets.for_task(story.task_id, scene.start(story), scene.owner, seconds=-60)
    for path, ticket in ((scene.path(story), task), ("/v1/events", tickets.for_owner(scene.owner, seconds=-60))):
        answer = await scene.get(path, ticket)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/ticket-expired")


@promises(INVALID)
@pytest.mark.parametrize("place", ["header", "url"])
async def test_a_ticket_of_64_kb_is_refused_and_hurts_nobody(scene: Scene, place: str) -> None:
    story = scene.begin()
    ticket = "x" * 65_536
    head = f"GET {scene.path(story)}{'' if place == 'header' else '?ticket=' + ticket} HTTP/1.1\r\nHost: x\r\n"
    if place == "header":
        head += f"Authorization: Bearer {ticket}\r\n"
    async with scene.connect() as (reader, writer):
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        async with asyncio.timeout(WAIT_SECONDS):
            status = (await reader.readline()).split()[1]
    assert status in {b"400", b"401", b"413", b"414", b"431"}
    await scene.reach(story)


@promises(INVALID)
async def test_one_tasks_ticket_does_not_open_the_owners_stream(scene: Scene) -> None:
    story = scene.begin()
    answer = await scene.get("/v1/events", scene.ticket(story))
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/ticket-invalid")


@promises(ALIKE)
async def test_foreign_unknown_and_malformed_tasks_answer_alike(scene: Scene) -> None:
    story, other = scene.begin(), scene.begin()
    await scene.reach(story)
    tickets = scene.target.tickets
    start, unknown = scene.start(story), new_task_id()
    answers = {
        "another task's ticket": await scene.get(scene.path(story), scene.ticket(other)),
        "another owner's name": await scene.get(
            scene.path(story), tickets.for_task(story.task_id, start, f"{scene.owner}-other")
        ),
        "another owner's ticket": await scene.get(scene.path(story), tickets.for_owner(f"{scene.owner}-other")),
        "no such task": await scene.get(f"/v1/tasks/{unknown}/events", tickets.for_owner(scene.owner)),
        "no such task, with its ticket": await scene.get(
            f"/v1/tasks/{unknown}/events", tickets.for_task(unknown, start, scene.owner)
        ),
        "malformed": await scene.get("/v1/tasks/x/events", tickets.for_owner(scene.owner)),
        "upper case": await scene.get(f"/v1/tasks/{story.task_id.upper()}g/events", tickets.for_owner(scene.owner)),
        "snapshot of no such task": await scene.get(f"/v1/tasks/{unknown}", tickets.for_owner(scene.owner)),
        "snapshot of a foreign task": await scene.get(f"/v1/tasks/{story.task_id}", scene.ticket(other)),
    }
    bodies = {name: (answer.status_code, answer.json()) for name, answer in answers.items()}
    assert {name: status for name, (status, _) in bodies.items()} == dict.fromkeys(bodies, 404)
    assert len({answer.content for answer in answers.values()}) == 1
    assert next(iter(bodies.values()))[1]["type"] == "/problems/unknown-task"


@promises("The relay reads only tickets, as `Authorization: Bearer TICKET` or `?ticket=TICKET`")
async def test_a_ticket_is_read_from_the_url_and_an_owners_ticket_opens_his_tasks(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    owner = scene.target.tickets.for_owner(scene.owner)
    for answer in (
        await scene.get(scene.path(watched.story), params={"ticket": scene.ticket(watched.story)}),
        await scene.get(scene.path(watched.story), owner),
        await scene.get(scene.path(watched.story), params={"ticket": owner}),
    ):
        assert answer.status_code == 200
        assert "event: snapshot\n" in answer.text


@promises("A stream may end at any time between two events (deploys, age, its ticket's expiry, a slow reader)")
async def test_a_stream_ends_with_its_ticket_and_not_in_the_middle_of_an_event(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    ticket = scene.target.tickets.for_task(story.task_id, scene.start(story), scene.owner, seconds=2)
    async with scene.viewer(scene.path(story), ticket) as viewer:
        assert [event.type for event in await viewer.rest(scene.target.heartbeat_seconds + 10)] == ["snapshot"]
        assert not viewer.stream.incomplete
