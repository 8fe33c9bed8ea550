"""What parsers disagree about is refused, and nothing that was sent is repeated."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_api.errors import InvalidRequest
from producer_api.json_body import parse_object

KNOWN = ("notes", "item")
SECRET = "비밀"

REFUSED = {
    "nothing": (b"", "is not JSON"),
    "only blanks": (b"  \n", "is not JSON"),
    "an array": (b"[]", "is not a JSON object"),
    "text": (f'"{SECRET}"'.encode(), "is not a JSON object"),
    "null": (b"null", "is not a JSON object"),
    "cut off": (f'{{"notes": "{SECRET}'.encode(), "is not JSON"),
    "something behind it": (b'{"notes": "a"} b', "is not JSON"),
    "two documents": (b'{"notes": "a"}{}', "is not JSON"),
    "NaN": (b'{"notes": NaN}', "is not JSON"),
    "minus infinity": (b'{"notes": -Infinity}', "is not JSON"),
    "an integer of ten thousand digits": (b'{"notes": ' + b"9" * 10_000 + b"}", "is not JSON"),
    "fifty thousand brackets": (b"[" * 50_000, "is nested too deeply"),
    "fifty thousand objects": (b'{"a":' * 10_000, "is nested too deeply"),
    "bytes that are not UTF-8": (b'{"notes": "\xff"}', "is not UTF-8"),
    "a raw surrogate": (b'{"notes": "\xed\xa0\x80"}', "is not UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"notes": "a"}', "is not JSON"),
    "UTF-16": ('{"notes": "a"}'.encode("utf-16"), "is not UTF-8"),
    "UTF-16 without a mark": ('{"notes": "a"}'.encode("utf-16-le"), "is not JSON"),
    "a raw control character": (b'{"notes": "a\x00b"}', "is not JSON"),
    "single quotes": (b"{'notes': 'a'}", "is not JSON"),
    "a comment": (b'{"notes": "a"} // b', "is not JSON"),
}


@pytest.mark.parametrize(("raw", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_body_that_is_not_one_json_object_is_refused(raw: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_object(raw, KNOWN)
    assert refused.value.field == "body"
    assert refused.value.detail == f"body: {problem}"


def test_a_name_given_twice_is_named_when_it_is_ours() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_object(b'{"notes": "a", "notes": "b"}', KNOWN)
    assert refused.value.detail == "notes: is given twice"


def test_a_name_given_twice_is_not_repeated_when_it_is_the_callers() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_object(f'{{"{SECRET}": 1, "{SECRET}": 2}}'.encode(), KNOWN)
    assert refused.value.detail == "body: is given twice"


@given(st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=20)))
def test_every_object_of_a_correct_writer_is_read_as_it_is(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode(), KNOWN) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    try:
        value: object = parse_object(raw, KNOWN)
    except InvalidRequest:
        return
    assert value == json.loads(raw)
