import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.cursor import (
    CompositeCursor,
    Cursor,
    Position,
    parse_composite_cursor,
    parse_cursor,
    parse_position,
)
from contracts.errors import CursorError

partitions = st.integers(0, 99_999)
offsets = st.integers(0, 2**63 - 1)
HOSTILE = [
    "", " ", "-1", "3", "3-", "-3-1", "3--1", "3-1-", "3-1-END", "3-1-end-end", "03-1", "3-01", "3-1 ",
    "3-1\n", "\n3-1",
    "3-9223372036854775808", "3-18446744073709551616", "100000-1", '"3-1"', "[3,1]", '{"topic":"x"}', "٣-١",
    "3−1", "x" * 8192,
    "3-1\x00", "3-1.3-2x", "é",
]  # fmt: skip


@given(partitions, offsets, st.booleans())
def test_a_cursor_reads_what_it_writes(partition: int, offset: int, end: bool) -> None:
    cursor = Cursor(Position(partition, offset), end)
    assert parse_cursor(str(cursor)) == cursor


@given(st.dictionaries(partitions, offsets, min_size=1, max_size=12))
def test_a_composite_cursor_reads_what_it_writes(seen: dict[int, int]) -> None:
    cursor = CompositeCursor(tuple(Position(*item) for item in sorted(seen.items())))
    assert parse_composite_cursor(str(cursor)) == cursor


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_not_a_cursor(text: str) -> None:
    for parse in (parse_cursor, parse_position, parse_composite_cursor):
        with pytest.raises(CursorError):
            parse(text)


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_a_cursor_error(text: str) -> None:
    for parse in (parse_cursor, parse_composite_cursor):
        with contextlib.suppress(CursorError):
            assert str(parse(text)) == text


@pytest.mark.parametrize("text", ["3-1.3-2", "3-1.2-1", "0-1.0-1"])
def test_a_partition_is_named_once_and_in_order(text: str) -> None:
    with pytest.raises(CursorError):
        parse_composite_cursor(text)


def test_a_position_has_no_end_mark() -> None:
    with pytest.raises(CursorError):
        parse_position("3-1-end")
