"""The caller's trace (W3C Trace Context, section 3.2)."""

import re
from collections.abc import Sequence

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def read_traceparent(values: Sequence[str]) -> str:
    """Return the one valid `traceparent` of a request, or an empty text; a bad one is never an error."""
    return values[0] if len(values) == 1 and _TRACEPARENT.fullmatch(values[0]) else ""
