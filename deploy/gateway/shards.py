"""Shards: which relays have which partitions, as an operator writes it down."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_ADDRESS = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\]):[0-9]{1,5}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


class ShardsUnusable(ValueError):
    """The list of shards cannot be routed by; says why."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Some partitions, and the addresses of the relays that have them: any of one shard's will do."""

    partitions: tuple[int, ...]
    addresses: tuple[str, ...]


def parse_shard(text: str) -> Shard:
    """Return the shard of `0,1,2=HOST:PORT[,HOST:PORT…]`; the left side is what its relays have in RELAY_PARTITIONS."""
    numbers, separator, addresses = text.partition("=")
    parts = [part.strip() for part in numbers.split(",")]
    if not separator or not all(_NUMBER.fullmatch(part) for part in parts):
        raise ShardsUnusable(f"{text!r} is not PARTITION[,PARTITION…]=HOST:PORT[,HOST:PORT…]")
    return Shard(tuple(map(int, parts)), parse_addresses(addresses))


def parse_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of `HOST:PORT[,HOST:PORT…]`, or raise ShardsUnusable."""
    return tuple(parse_address(part.strip()) for part in text.split(","))


def parse_address(text: str) -> str:
    """Return the address of `HOST:PORT`, or raise ShardsUnusable."""
    if not _ADDRESS.fullmatch(text):
        raise ShardsUnusable(f"{text!r} is not HOST:PORT")
    return text


def check_shards(shards: Sequence[Shard], partition_count: int) -> None:
    """Raise ShardsUnusable unless each partition is in exactly one shard."""
    found = Counter(number for shard in shards for number in shard.partitions)
    wanted = range(partition_count)
    if twice := sorted(number for number, count in found.items() if count > 1):
        raise ShardsUnusable(f"partitions in more than one place: {_listed(twice)}")
    if missing := [number for number in wanted if number not in found]:
        raise ShardsUnusable(f"partitions that no shard has: {_listed(missing)}")
    if foreign := sorted(number for number in found if number not in wanted):
        raise ShardsUnusable(f"there are {partition_count} partitions, so none is called {_listed(foreign)}")


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
