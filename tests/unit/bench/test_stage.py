"""What the benchmark writes is what the system writes."""

import re

from bench.relay.programs import SOURCES
from bench.relay.stage import (
    ATTEMPT,
    DELTA_CHARACTERS,
    STAMP_DIGITS,
    STAMP_MARK,
    delta_of,
    first_record,
    request_lines,
    stage_tasks,
    template_line,
)
from contracts.codec import decode_event
from contracts.cursor import Position
from contracts.events import TaskStarted, VersionDelta

STAMP = "0000001234567890"


def filled(template: str, sequence: int, offset: int) -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    """Do what producer.c does with a template."""
    text = template.replace("%S", str(sequence)).replace("%O", str(offset)).replace("%T", STAMP)
    key, value, *headers = text.split("\t")
    pairs = [header.split("=", 1) for header in headers]
    return key.encode(), value.encode(), [(name, content.encode()) for name, content in pairs]


def test_a_filled_template_is_the_record_that_the_codec_would_have_written() -> None:
    [task] = stage_tasks(1, "seed")
    key, value, headers = filled(template_line(task), 17, 640)
    assert decode_event(key, value, headers) == delta_of(task, 17, 640, STAMP)


def test_a_delta_has_about_two_hundred_bytes() -> None:
    [task] = stage_tasks(1, "seed")
    _, value, _ = filled(template_line(task), 17, 640)
    assert 180 <= len(value) <= 230


def test_the_text_grows_by_as_many_characters_as_the_producer_counts() -> None:
    [task] = stage_tasks(1, "seed")
    delta = delta_of(task, 1, 0, STAMP)
    counted = re.search(r"#define TEXT_CHARACTERS (\d+)", (SOURCES / "producer.c").read_text())
    assert isinstance(delta, VersionDelta)
    assert counted is not None
    assert len(delta.text) == DELTA_CHARACTERS == int(counted[1])
    assert f"{STAMP_MARK}{STAMP}" in delta.text
    assert len(STAMP) == STAMP_DIGITS


def test_the_first_record_starts_the_attempt_that_the_deltas_go_on_with() -> None:
    [task] = stage_tasks(1, "seed")
    record = first_record(task)
    event = decode_event(record.key, record.value, record.headers)
    assert event == TaskStarted(task_id=task.task_id, attempt=ATTEMPT, sequence=0)


def test_the_same_seed_gives_the_same_tasks_and_another_seed_others() -> None:
    assert stage_tasks(3, "a") == stage_tasks(3, "a")
    assert not set(stage_tasks(3, "a")) & set(stage_tasks(3, "b"))


def test_a_stream_without_a_position_asks_from_nowhere() -> None:
    assert request_lines(["/a", "/b"], [None, Position(3, 7)]) == "/a\t\n/b\t3-7\n"
