import pytest

from producer_api.traceparent import read_traceparent

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_one_valid_header_is_kept() -> None:
    assert read_traceparent([VALID]) == VALID


@pytest.mark.parametrize(
    "values",
    [
        [],
        [VALID, VALID],
        [VALID.upper()],
        [VALID + "\n"],
        [VALID[:-1]],
        ["ff" + VALID[2:]],
        [VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)],
        [VALID.replace("00f067aa0ba902b7", "0" * 16)],
        ["x" * 8192],
    ],
)
def test_anything_else_is_no_trace_and_no_error(values: list[str]) -> None:
    assert read_traceparent(values) == ""
