"""Frames against a strict reader of event streams."""

from hypothesis import given
from hypothesis import strategies as st

from sse_relay.frame import COMMENT, body_of, encode_frame, encode_retry, type_of, value_of
from tests.support.event_stream import EventStream, read_all

VALUES = st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode))


@given(VALUES)
def test_any_value_is_one_event_with_its_line_ends_as_lf(value: bytes) -> None:
    events = read_all(encode_frame(b"version.delta", value, b"3-7"))
    expected = value.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    assert [(event.type, event.data, event.last_event_id) for event in events] == [("version.delta", expected, "3-7")]


@given(st.lists(VALUES, max_size=5))
def test_no_value_can_reach_into_its_neighbours(values: list[bytes]) -> None:
    stream = b"".join(encode_frame(b"t", value, b"0-%d" % index) for index, value in enumerate(values))
    assert [event.last_event_id for event in read_all(stream)] == [f"0-{index}" for index in range(len(values))]


def test_a_value_that_looks_like_fields_stays_data() -> None:
    (event,) = read_all(encode_frame(b"t", b'{"a":\n"id: 9\r\revent: error\n\nretry: 1"}', b"0-1"))
    assert (event.type, event.last_event_id) == ("t", "0-1")


@given(st.binary(max_size=60), st.integers(1, 7))
def test_a_reader_that_gets_a_few_bytes_at_a_time_sees_the_same(value: bytes, size: int) -> None:
    frame = encode_frame(b"t", value, b"0-1")
    stream = EventStream()
    events = [event for at in range(0, len(frame), size) for event in stream.feed(frame[at : at + size])]
    assert events == read_all(frame)
    assert not stream.incomplete


def test_comments_and_retry_move_no_cursor_and_dispatch_nothing() -> None:
    stream = EventStream()
    (event,) = stream.feed(encode_frame(b"t", b"{}", b"0-1") + COMMENT + encode_retry(1500))
    assert event.last_event_id == "0-1"
    assert (stream.comment_count, stream.retry_ms, stream.last_event_id) == (1, 1500, "0-1")


def test_a_frame_without_cursor_leaves_the_position_where_it_was() -> None:
    stream = encode_frame(b"t", b"{}", b"0-1") + encode_frame(b"snapshot", b"{}")
    assert [event.last_event_id for event in read_all(stream)] == ["0-1", "0-1"]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=40))
def test_a_frame_gives_back_its_type_body_and_value(text: str) -> None:
    value = text.encode()
    frame = encode_frame(b"version.delta", value, b"11-12")
    assert (type_of(frame), value_of(frame)) == (b"version.delta", value)
    assert body_of(frame) == encode_frame(b"version.delta", value)
