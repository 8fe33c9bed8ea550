"""The configuration of nginx, from the list of shards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from deploy.gateway.shards import Shard, ShardsUnusable, check_shards

_TEMPLATE = Path(__file__).with_name("nginx.conf.template")


class _NginxTemplate(Template):
    """`$` is nginx's own."""

    delimiter = "@@"


@dataclass(frozen=True, slots=True)
class Gateway:
    """What stands behind one address. `whole`: relays that read everything; they answer for URLs without a partition.

    Addresses are HOST:PORT.
    """

    listen: str
    api: tuple[str, ...]
    shards: tuple[Shard, ...]
    whole: tuple[str, ...] = ()
    partition_count: int = 12


def render(gateway: Gateway) -> str:
    """Return the configuration; raise ShardsUnusable when a partition has no relay, or more than one shard."""
    if gateway.shards:
        check_shards(gateway.shards, gateway.partition_count)
    elif not gateway.whole:
        raise ShardsUnusable("there are neither shards nor relays that read everything")
    groups = {"api": gateway.api, "whole": gateway.whole}
    groups |= {_name(index): shard.addresses for index, shard in enumerate(gateway.shards)}
    owners = {number: _name(index) for index, shard in enumerate(gateway.shards) for number in shard.partitions}
    return _NginxTemplate(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        listen=gateway.listen,
        fallback="whole" if gateway.whole else "",
        any="whole" if gateway.whole else _name(0),
        partitions="\n".join(f"        {number} {owners[number]};" for number in sorted(owners)),
        upstreams="\n".join(_upstream(name, addresses) for name, addresses in groups.items() if addresses),
    )


def _name(index: int) -> str:
    return f"shard_{index}"


def _upstream(name: str, addresses: Sequence[str]) -> str:
    servers = "".join(f"        server {address};\n" for address in addresses)
    return f"    upstream {name} {{\n{servers}    }}"
