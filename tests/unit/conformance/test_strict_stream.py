"""The parser of the conformance suite refuses what the protocol does not allow."""

import pytest

from tests.conformance.promises import PROTOCOL
from tests.conformance.strict_stream import KNOWN_TYPES, StrictStream

GOOD = b'id: 0-1\nevent: task.started\ndata: {"type":"task.started","task_id":"x","attempt":"1-1","sequence":0}\n\n'
FAULTY = {
    "an unknown field": b"colour: green\n\n",
    "an unknown type": b"id: 0-1\nevent: error\ndata: {}\n\n",
    "no type": b"id: 0-1\ndata: {}\n\n",
    "a log event without an id": GOOD.partition(b"\n")[2],
    "an id twice": GOOD * 2,
    "two ids in an event": b"id: 0-0\n" + GOOD,
    "a field of the log missing": GOOD.replace(b'"sequence":0', b'"number":0'),
    "another type in the data": GOOD.replace(b'"type":"task.started"', b'"type":"task.failed"'),
    "two lines of data": GOOD.replace(b"\n\n", b"\ndata: x\n\n"),
    "an id on a gap": b'id: 0-1\nevent: gap\ndata: {"reason":"log_reset"}\n\n',
    "an id alone": b"id: 0-1\n\n",
    "an id on a heartbeat": b": x\nid: 0-1\n\n",
    "an id with NUL": GOOD.replace(b"0-1", b"0-\0"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_the_protocol_allows_is_read(size: int) -> None:
    stream, data = StrictStream(), b"retry: 50\n\n" + GOOD + b":\n\n"
    events = [event for begin in range(0, len(data), size) for event in stream.feed(data[begin : begin + size])]
    assert [(event.type, event.last_event_id) for event in events] == [("task.started", "0-1")]
    assert (stream.retry_ms, stream.comment_count) == (50, 1)


@pytest.mark.parametrize("data", FAULTY.values(), ids=FAULTY)
def test_what_the_protocol_does_not_allow_fails(data: bytes) -> None:
    with pytest.raises(AssertionError):
        list(StrictStream().feed(data))


def test_bytes_that_are_not_utf_8_fail() -> None:
    with pytest.raises(UnicodeDecodeError):
        list(StrictStream().feed(GOOD.replace(b'"x"', b'"\xff"')))


def test_every_type_of_event_is_in_the_protocol() -> None:
    text = PROTOCOL.read_text(encoding="utf-8")
    assert [name for name in KNOWN_TYPES if f"`{name}`" not in text] == []
