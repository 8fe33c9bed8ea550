"""Section "Read", positions: Last-Event-ID, ?after=, and both."""

from urllib.parse import quote

from tests.conformance.promises import promises
from tests.conformance.scene import Scene, plain

EXACTLY = "With a cursor: exactly the events behind it, and no snapshot."


@promises(EXACTLY)
async def test_a_client_resumes_behind_every_event_that_it_may_have_seen_last(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ", "둘 ", "셋 ")
    for index, cursor in enumerate(watched.ids[:-1]):
        async with scene.watch(watched.story, cursor) as viewer:
            assert viewer.status == 200
            assert plain(await viewer.rest()) == watched.behind(index)


@promises(EXACTLY, "A position is taken from `Last-Event-ID`, or else from `?after=`;")
async def test_the_position_may_be_in_the_url(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ", "둘 ")
    async with scene.watch(watched.story, query=f"?after={quote(watched.ids[1])}") as viewer:
        assert plain(await viewer.rest()) == watched.behind(1)


@promises("when both are there `Last-Event-ID` wins, because a browser sends it on its own when it reconnects")
async def test_of_two_positions_the_headers_wins(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ", "둘 ")
    for wrong in (watched.ids[0], watched.ids[-1], "x"):
        async with scene.watch(watched.story, watched.ids[2], query=f"?after={quote(wrong)}") as viewer:
            assert viewer.status == 200
            assert plain(await viewer.rest()) == watched.behind(2)


@promises("Without a cursor: `snapshot`, then each event behind it, as it happens.")
async def test_an_empty_position_is_none(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    url = f"{scene.path(watched.story)}?after="
    answer = await scene.get(url, scene.ticket(watched.story), headers=[("Last-Event-ID", "")])
    assert answer.status_code == 200
    assert "event: snapshot\n" in answer.text


@promises(EXACTLY, "each once per stream, in log order")
async def test_a_client_that_leaves_after_each_event_sees_every_event_once(scene: Scene) -> None:
    story = scene.begin()
    cursor, seen = await scene.reach(story), []
    words = [story.delta(f"{number} ") for number in range(8)]
    for index, word in enumerate(words):
        scene.publish(word)
        async with scene.watch(story, cursor) as viewer:
            seen.append(await viewer.next())
            cursor = viewer.cursor
        assert len(seen) == index + 1
    assert [event.json["text"] for event in seen] == [word.text for word in words]


@promises(EXACTLY)
async def test_a_client_that_has_everything_so_far_gets_nothing_but_what_comes(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    async with scene.watch(story, cursor) as viewer:
        scene.publish(story.delta("둘 "), story.succeeded())
        events = await viewer.rest()
    assert [event.type for event in events] == ["version.delta", "task.succeeded"]


@promises(EXACTLY, "the cursor of the record, *last seen*, opaque")
async def test_a_snapshots_cursor_is_a_position_like_any_other(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    snapshot = (await scene.get(f"/v1/tasks/{story.task_id}", scene.ticket(story))).json()
    scene.publish(story.succeeded())
    async with scene.watch(story, snapshot["cursor"]) as viewer:
        assert [event.type for event in await viewer.rest()] == ["task.succeeded"]
