"""A request's body as JSON (RFC 8259), read strictly: what parsers disagree about is refused."""

import json
from collections.abc import Collection
from typing import Any, NoReturn

from producer_api.errors import InvalidRequest

BODY = "body"


class _DuplicateName(Exception):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def parse_object(raw: bytes, known_names: Collection[str]) -> dict[str, Any]:
    """Return the one JSON object of a body, or raise InvalidRequest; only `known_names` are ever named."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InvalidRequest(BODY, "is not UTF-8") from None
    except _DuplicateName as duplicate:
        raise InvalidRequest(duplicate.name if duplicate.name in known_names else BODY, "is given twice") from None
    except RecursionError:
        raise InvalidRequest(BODY, "is nested too deeply") from None
    except ValueError:  # also an integer of more digits than Python reads
        raise InvalidRequest(BODY, "is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidRequest(BODY, "is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _DuplicateName(name)
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
