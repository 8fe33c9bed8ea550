"""Records that were ever released stay readable, and what we write today is what is written there."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import (
    CANCELLATION_TYPE,
    REQUEST_TYPE,
    RESULT_TYPE,
    Origin,
    Record,
    decode_cancellation,
    decode_event,
    decode_request,
    decode_result,
    encode_cancellation,
    encode_event,
    encode_request,
    encode_result,
    read_header,
    read_request_header,
)
from contracts.events import EVENT_TYPES
from contracts.task import OwnerId
from tests.support.golden import golden, load

FILES = golden("records")
ORIGIN = Origin(OwnerId("owner-1"), "/draftstream/worker/w1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
AT = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)


def stored(path: Path) -> Record:
    case: dict[str, Any] = load(path)
    value = json.dumps(case["value"], ensure_ascii=False, separators=(",", ":")).encode()
    return Record(case["key"].encode(), value, [(name, text.encode()) for name, text in case["headers"]])


def rewrite(record: Record) -> Record:
    """Decode a record with this release and encode it again."""
    match read_header(record.headers).type:
        case "generation.requested":
            header = read_request_header(record.headers)
            return encode_request(decode_request(record.key, record.value), ORIGIN, header, at=AT)
        case "generation.cancellation_requested":
            return encode_cancellation(decode_cancellation(record.key, record.value), ORIGIN, at=AT)
        case "generation.result":
            return encode_result(decode_result(record.value), ORIGIN, at=AT)
        case _:
            return encode_event(decode_event(record.key, record.value, record.headers), ORIGIN, at=AT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_released_record_stays_readable(path: Path) -> None:
    record = stored(path)
    again = rewrite(record)
    assert again.key == record.key
    # A newer release may add fields and headers; it may not change or drop one.
    assert json.loads(record.value).items() <= json.loads(again.value).items()
    assert set(record.headers) <= set(again.headers)


def test_every_type_of_record_has_a_golden_file() -> None:
    types = {read_header(stored(path).headers).type for path in FILES}
    assert types == {*EVENT_TYPES, REQUEST_TYPE, CANCELLATION_TYPE, RESULT_TYPE}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_unknown_fields_and_headers_are_ignored(path: Path) -> None:
    record = stored(path)
    value = json.dumps(json.loads(record.value) | {"from_the_future": {"a": 1}}, ensure_ascii=False).encode()
    newer = Record(record.key, value, [*record.headers, ("from_the_future", b"\xff")])
    assert rewrite(newer) == rewrite(record)
