"""Section "Kafka": records that nobody should write hurt nobody."""

import pytest

from contracts.codec import Record
from contracts.task import new_task_id
from tests.conformance.promises import promises
from tests.conformance.scene import Scene
from tests.support.relay_events import TaskStory, record

Broken = tuple[bytes | None, bytes | None, dict[str, bytes | None]]
LESS = "**less** those that the rules below ignore"
ONCE = "Records are sent as they are in the log, each once per stream, in log order"


def broken_records(good: Record, key: bytes) -> dict[str, Broken]:
    headers: dict[str, bytes | None] = dict(good.headers)
    return {
        "no key": (None, good.value, headers),
        "a key that is no task": (b"not-a-task", good.value, headers),
        "a key that is not ASCII": (b"\xff\xfe", good.value, headers),
        "null": (key, None, headers),
        "empty": (key, b"", headers),
        "an array": (key, b"[1]", headers),
        "a word": (key, b"null", headers),
        "not JSON": (key, b"hello", headers),
        "not UTF-8": (key, b"\xff\xfe", headers),
        "no headers": (key, good.value, {}),
        "empty headers": (key, good.value, dict.fromkeys(headers)),
        "an unknown type": (key, good.value, headers | {"ce_type": b"task.exploded"}),
        "a type with line ends": (key, good.value, headers | {"ce_type": b"task.succeeded\n\ndata: x"}),
        "a newer major schema": (key, good.value, headers | {"schema_version": b"2.0"}),
        "no schema": (key, good.value, headers | {"schema_version": None}),
        "an attempt that is none": (key, good.value, headers | {"attempt": b"late"}),
        "a negative sequence": (key, good.value, headers | {"sequence": b"-1"}),
        "a sequence of 2^64": (key, good.value, headers | {"sequence": b"%d" % 2**64}),
        "a header of 500 KB": (key, good.value, headers | {"attempt": b"9" * 500_000}),
    }


@promises("Unknown fields and unknown event types are ignored.", LESS, ONCE)
async def test_records_that_cannot_be_used_are_skipped_and_hurt_nobody(scene: Scene) -> None:
    story, other = scene.begin("하나 "), scene.begin("남 ")
    cursor, _ = await scene.reach(story), await scene.reach(other)
    good = record(story.delta("좋은 "), scene.owner)
    async with scene.watch(story, cursor) as viewer, scene.watch_owner() as everything:
        await everything.until("synced")
        for key, value, headers in broken_records(good, story.task_id.encode()).values():
            scene.target.writer.write_raw(scene.start(story).partition, key, value, list(headers.items()))
        scene.publish_records([good])
        scene.publish(story.succeeded(), other.succeeded())
        assert [event.type for event in await viewer.rest()] == ["version.delta", "task.succeeded"]
        events = await everything.take(3)
    assert sorted(event.type for event in events) == ["task.succeeded", "task.succeeded", "version.delta"]


@promises(
    "Within a major `schema_version` fields are only added.", "Unknown fields and unknown event types are ignored."
)
async def test_a_newer_minor_schema_with_unknown_fields_and_headers_is_read(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    made = record(story.delta("둘 "), scene.owner)
    headers = [(name, b"1.7" if name == "schema_version" else value) for name, value in made.headers]
    value = made.value[:-1] + b',"colour":"green"}'
    scene.publish_records([Record(made.key, value, [*headers, ("colour", b"green"), ("padding", b"x" * 500_000)])])
    scene.publish(story.succeeded())
    async with scene.watch(story, cursor) as viewer:
        events = await viewer.rest()
    assert [event.type for event in events] == ["version.delta", "task.succeeded"]
    assert events[0].data.encode() == value


@promises("Event streams follow the WHATWG HTML standard", ONCE)
@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r"], ids=repr)
async def test_line_ends_in_a_value_cannot_make_an_event(scene: Scene, line_end: bytes) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    made = record(story.delta("둘 "), scene.owner)
    forged = line_end.join([b"{", b"id: 0-0-end", b"event: task.succeeded", b"data: {}", b"retry: 1", b": x", b"}"])
    async with scene.watch(story, cursor) as viewer:
        viewer.stream.allows_line_ends = True
        scene.publish_records([Record(made.key, forged, made.headers)])
        scene.publish(story.succeeded())
        events = await viewer.rest()
    assert [event.type for event in events][-1:] == ["task.succeeded"]
    hostile = events[:-1]
    assert [event.type for event in hostile] in ([], ["version.delta"])
    assert viewer.stream.retry_ms != 1
    assert all("event: task.succeeded" in event.data for event in hostile)


@promises("Event streams follow the WHATWG HTML standard", ONCE)
@pytest.mark.parametrize("inside", [b"\0", b"\xef\xbb\xbf", b"\\u0000", "\u2028\u2029\u0085".encode(), b":", b" "])
async def test_odd_characters_in_a_value_arrive_as_they_are(scene: Scene, inside: bytes) -> None:
    story = scene.begin()
    cursor = await scene.reach(story)
    made = record(story.delta("둘 "), scene.owner)
    value = made.value[:-1] + b',"odd":"' + inside + b'"}'
    async with scene.watch(story, cursor) as viewer:
        viewer.stream.allows_line_ends = True  # a raw NUL is no JSON
        scene.publish_records([Record(made.key, value, made.headers)])
        scene.publish(story.succeeded())
        events = await viewer.rest()
    assert [event.data.encode() for event in events[:-1]] in ([], [value])
    assert events[-1].type == "task.succeeded"


@promises("All topics are keyed by the task id (murmur2)", ONCE)
async def test_a_record_on_the_wrong_partition_neither_ends_nor_hides_a_task(scene: Scene) -> None:
    story = scene.begin("하나 ")
    cursor = await scene.reach(story)
    count = scene.target.topics.partition_count
    end = record(TaskStory(story.task_id).succeeded(), scene.owner)
    wrong = (scene.start(story).partition + 1) % count
    if count > 1:
        scene.target.writer.write_raw(wrong, end.key, end.value, [*end.headers])
        probe = scene.neighbour_on(wrong)
        scene.publish(probe.accepted())
        await scene.reach(probe)
    async with scene.watch(story, cursor) as viewer:
        scene.publish(story.delta("둘 "), story.succeeded())
        assert [event.type for event in await viewer.rest()] == ["version.delta", "task.succeeded"]
    async with scene.watch(story) as viewer:
        assert (await viewer.rest())[-1].json["versions"][0]["text"] != ""


@promises("the whole state of one task and the `cursor` it is valid for")
async def test_a_task_whose_beginning_nobody_wrote_has_a_snapshot(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    scene.publish(story.started(), story.delta("하나 "))
    await scene.reach(story)
    async with scene.watch(story) as viewer:
        snapshot = await viewer.next()
        scene.publish(story.succeeded())
        assert (await viewer.rest())[-1].type == "task.succeeded"
    assert snapshot.json["versions"][0]["text"] == "하나 "


@promises("With a cursor: exactly the events behind it, and no snapshot.", ONCE)
async def test_transactions_leave_no_holes_and_aborted_words_are_not_seen(scene: Scene) -> None:
    story = TaskStory(new_task_id())
    scene.publish(story.accepted())
    with scene.target.writer.transaction() as transaction:
        transaction.write([record(story.started(), scene.owner), record(story.delta("하나 "), scene.owner)])
    ghost = TaskStory(story.task_id)
    ghost.sequence = story.sequence
    with scene.target.writer.transaction(abort=True) as transaction:
        transaction.write([record(ghost.delta("유령 "), scene.owner), record(ghost.succeeded(), scene.owner)])
    async with scene.watch(story) as viewer:
        while (event := await viewer.next()).json["sequence"] < 1:
            pass
        cursor = event.last_event_id
        scene.publish(story.delta("둘 "))
        assert (await viewer.next()).json["text"] == "둘 "
    async with scene.watch(story, cursor) as viewer:
        assert (await viewer.next()).json["text"] == "둘 "
        scene.publish(story.succeeded())
        assert (await viewer.rest())[-1].type == "task.succeeded"


@promises(ONCE)
async def test_an_event_of_500_kb_arrives_whole(scene: Scene) -> None:
    story = scene.begin()
    cursor = await scene.reach(story)
    long = "가" * 160_000
    async with scene.watch(story, cursor) as viewer:
        scene.publish(story.delta(long), story.succeeded())
        events = await viewer.rest()
    assert [event.json.get("text") for event in events] == [long, None]
