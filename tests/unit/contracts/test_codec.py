import pytest

from contracts.attempt import OUTSIDE, Attempt
from contracts.codec import Origin, Record, decode_event, encode_event, read_header, read_request_header, task_id_of
from contracts.errors import MalformedRecord, RecordError, UnknownType, UnsupportedSchema
from contracts.events import VersionDelta
from contracts.lifecycle import fold
from contracts.task import OwnerId, TaskId

TASK = TaskId("0123456789abcdef0123456789abcdef")
RECORD = encode_event(
    VersionDelta(task_id=TASK, attempt=Attempt(3, 5), sequence=4, version=1, offset=0, text="한 줄\n두 줄\r\n"),
    Origin(OwnerId("o"), "/test"),
)


def with_header(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
    others: list[tuple[str, bytes | None]] = [pair for pair in RECORD.headers if pair[0] != name]
    return others if value is None else [*others, (name, value)]


def test_a_value_is_one_line_of_unescaped_utf_8() -> None:
    assert b"\n" not in RECORD.value
    assert b"\r" not in RECORD.value
    assert "한 줄".encode() in RECORD.value


def test_headers_tell_all_that_a_reader_needs_to_route_and_judge() -> None:
    header = read_header(RECORD.headers)
    assert (header.type, header.owner, header.attempt, header.sequence) == ("version.delta", "o", Attempt(3, 5), 4)
    assert not header.terminal


def test_each_event_has_its_own_cloud_event_id() -> None:
    assert dict(RECORD.headers)["ce_id"] == f"{TASK}:3-5:4".encode()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("schema_version", b"2.0", UnsupportedSchema),
        ("schema_version", None, MalformedRecord),
        ("schema_version", b"\xff", MalformedRecord),
        ("ce_type", b"task.invented", UnknownType),
        ("ce_type", None, MalformedRecord),
        ("attempt", b"-1-0", MalformedRecord),
        ("attempt", b"3", MalformedRecord),
        ("sequence", b"x", MalformedRecord),
        ("sequence", b"-1", MalformedRecord),
        ("sequence", b"99999999999999999999", MalformedRecord),
        ("sequence", b"5", MalformedRecord),
        ("owner", None, MalformedRecord),
    ],
)
def test_bad_headers_are_refused_by_name(name: str, value: bytes | None, error: type[RecordError]) -> None:
    with pytest.raises(error):
        decode_event(RECORD.key, RECORD.value, with_header(name, value))


@pytest.mark.parametrize(
    "value",
    [None, b"", b"not json", b"[]", b"null", b"\xff\xfe", b"[" * 50_000, RECORD.value[:-1], RECORD.value + b"{}"],
)
def test_a_bad_value_is_refused_without_an_echo(value: bytes | None) -> None:
    with pytest.raises(MalformedRecord) as caught:
        decode_event(RECORD.key, value, RECORD.headers)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("key", [None, b"", b"f" * 32])
def test_a_key_that_is_not_the_task_id_is_refused(key: bytes | None) -> None:
    with pytest.raises(MalformedRecord):
        decode_event(key, RECORD.value, RECORD.headers)


def test_a_problem_names_the_field_and_never_its_content() -> None:
    value = RECORD.value.replace(b'"version":1', '"version":"비밀"'.encode())
    with pytest.raises(MalformedRecord) as caught:
        decode_event(RECORD.key, value, RECORD.headers)
    assert caught.value.field == "version"
    assert "비밀" not in repr(caught.value)


def test_a_record_without_attempt_is_outside_any() -> None:
    assert read_header(with_header("attempt", None)).attempt == OUTSIDE


def test_a_request_without_a_start_is_refused() -> None:
    with pytest.raises(MalformedRecord):
        read_request_header([("digest", b"x"), ("start", b"3-x")])


@pytest.mark.parametrize("key", [None, b"", b"\xff"])
def test_a_key_that_is_no_text_is_refused(key: bytes | None) -> None:
    with pytest.raises(MalformedRecord):
        task_id_of(key)


def test_reprs_keep_the_text_private() -> None:
    event = decode_event(RECORD.key, RECORD.value, RECORD.headers)
    assert "한 줄" not in repr(event)
    assert "value" not in repr(RECORD)
    state = fold(TASK, [event])
    assert state.version(1).text.startswith("한 줄")
    assert "한 줄" not in repr(state)


def test_a_repeated_encoding_is_the_same_record_but_for_the_time() -> None:
    event = decode_event(RECORD.key, RECORD.value, RECORD.headers)
    again = encode_event(event, Origin(OwnerId("o"), "/test"))
    timeless = [pair for pair in again.headers if pair[0] != "ce_time"]
    assert Record(again.key, again.value, timeless) == Record(
        RECORD.key, RECORD.value, [pair for pair in RECORD.headers if pair[0] != "ce_time"]
    )
