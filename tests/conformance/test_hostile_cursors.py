"""Section "Answers", 400: positions that are none, and those that belong to something else."""

import pytest

from contracts.cursor import Cursor, Position, parse_composite_cursor, parse_cursor
from tests.conformance.promises import promises
from tests.conformance.scene import Scene

BAD = "`/problems/bad-cursor`: not a cursor, or one that names a record that is not of this task;"
POSITIONS = pytest.mark.needs_option("cursors that are positions (no --opaque-cursors)")
HOSTILE = {
    "negative": "-1",
    "a number": "0",
    "word": "x",
    "quoted": '"0-0"',
    "names topics": '[{"topic":"generation.requests","partition":0,"offset":0}]',
    "2^64 as an offset": f"0-{2**64}",
    "2^64 as a partition": f"{2**64}-0",
    "2^64": str(2**64),
    "2^63 as an offset": f"0-{2**63}",
    "8 KB": "9" * 8192,
    "8 KB of positions": ".".join(f"{number}-1" for number in range(1500)),
    "not ASCII": "\u00e9",
    "other digits": "\u00b9-\u00b2",
    "leading zeros": "00-01",
    "plus": "+0-+1",
    "many dashes": "0-0-0",
    "end twice": "0-0-end-end",
    "percent": "%00",
    "blank inside": "0 - 0",
    "a path": "../../etc/passwd",
    "not a number": "NaN-Infinity",
    "a partition that is not there": "99999-1",
}


@promises(BAD)
@pytest.mark.parametrize("cursor", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_no_cursor_gets_400_and_is_not_repeated(scene: Scene, cursor: str) -> None:
    story = scene.begin()
    await scene.reach(story)
    owner = scene.target.tickets.for_owner(scene.owner)
    header = [("Last-Event-ID", cursor)]
    answers = {
        "task, ?after=": await scene.get(scene.path(story), scene.ticket(story), params={"after": cursor}),
        "task, Last-Event-ID": await scene.get(scene.path(story), scene.ticket(story), headers=header),
        "owner, ?after=": await scene.get("/v1/events", owner, params={"after": cursor}),
        "owner, Last-Event-ID": await scene.get("/v1/events", owner, headers=header),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 400)
    assert {answer.json()["type"] for answer in answers.values()} == {"/problems/bad-cursor"}
    assert len(cursor) < 3 or not any(cursor in answer.text for answer in answers.values())


@promises(BAD)
async def test_another_tasks_cursor_gets_400_on_the_same_partition_and_on_others(scene: Scene) -> None:
    story, other = scene.begin(), scene.begin("남 ")
    neighbour = scene.neighbour(story)
    scene.publish(neighbour.accepted(), neighbour.started())
    await scene.reach(story)
    for stranger in (other, neighbour):
        cursor = await scene.reach(stranger)
        answer = await scene.get(scene.path(story), scene.ticket(story), params={"after": cursor})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-cursor")


@promises(BAD)
async def test_another_owners_cursor_gets_400(scene: Scene) -> None:
    mine = scene.begin("하나 ")
    stranger = scene.neighbour(mine)
    other = f"{scene.owner}-other"
    scene.publish(stranger.accepted(), stranger.started(), owner=other)
    await scene.reach(mine)
    await scene.reach(stranger, owner=other)
    async with scene.watch_owner(owner=other) as viewer:
        cursor = (await viewer.until("synced")).last_event_id
    answer = await scene.get("/v1/events", scene.target.tickets.for_owner(scene.owner), params={"after": cursor})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-cursor")


@promises(BAD)
async def test_a_cursor_of_one_kind_of_stream_is_not_taken_for_the_other(scene: Scene) -> None:
    watched = await scene.write_watched("하나 ")
    owner = scene.target.tickets.for_owner(scene.owner)
    answer = await scene.get("/v1/events", owner, params={"after": watched.ids[-1]})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-cursor")
    second = scene.begin()
    await scene.reach(second)
    while scene.start(second).partition == scene.start(watched.story).partition:
        second = scene.begin()
        await scene.reach(second)
    async with scene.watch_owner() as viewer:
        composite = (await viewer.until("synced")).last_event_id
    answer = await scene.get(scene.path(second), scene.ticket(second), params={"after": composite})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-cursor")


@promises(BAD)
@POSITIONS
async def test_positions_of_ignored_records_and_false_ends_get_400(scene: Scene) -> None:
    story = scene.begin("하나 ")
    (ignored,) = scene.publish_ignored(story)
    await scene.pass_by(story)
    cursor = parse_cursor(await scene.reach(story))
    for wrong in (Cursor(ignored), Cursor(cursor.position, end=True)):
        answer = await scene.get(scene.path(story), scene.ticket(story), params={"after": str(wrong)})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-cursor"), wrong


@promises(
    "If Kafka's log itself ends before the cursor, the topic is not the one that the cursor came from: `gap` "
    "(`log_reset`), then `snapshot`."
)
@POSITIONS
async def test_a_cursor_from_the_future_is_a_gap_and_a_snapshot(scene: Scene) -> None:
    story = scene.begin("하나 ")
    position = parse_cursor(await scene.reach(story)).position
    for offset in (position.offset + 1_000_000, 2**63 - 1):
        async with scene.watch(story, str(Position(position.partition, offset))) as viewer:
            assert viewer.status == 200
            gap, snapshot = await viewer.take(2)
        assert (gap.type, gap.json["reason"], gap.last_event_id) == ("gap", "log_reset", "")
        assert (snapshot.type, snapshot.json["task_id"]) == ("snapshot", story.task_id)


@promises(
    "If Kafka's log itself ends before the cursor, the topic is not the one that the cursor came from: `gap` "
    "(`log_reset`), then `snapshot`."
)
@POSITIONS
async def test_an_owners_cursor_from_the_future_is_a_gap_and_all_snapshots(scene: Scene) -> None:
    story = scene.begin("하나 ")
    await scene.reach(story)
    async with scene.watch_owner() as viewer:
        seen = parse_composite_cursor((await viewer.until("synced")).last_event_id)
    ahead = ".".join(str(Position(each.partition, each.offset + 1_000_000)) for each in seen.offsets)
    async with scene.watch_owner(ahead) as viewer:
        events = [await viewer.next() for _ in range(3)]
    assert [event.type for event in events] == ["gap", "snapshot", "synced"]
    assert events[0].json["reason"] == "log_reset"
