"""Print nginx's configuration: `python -m deploy.gateway --shard 0,1,2=relay-0:8001 … > nginx.conf`."""

import argparse
import sys
from collections.abc import Sequence

from deploy.gateway.configuration import Gateway, render
from deploy.gateway.shards import ShardsUnusable, parse_address, parse_addresses, parse_shard


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the configuration; exit status 2 when the shards cannot be routed by."""
    parser = argparse.ArgumentParser(prog="python -m deploy.gateway", description="Print nginx's configuration.")
    parser.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT")
    parser.add_argument("--api", default="127.0.0.1:8000", metavar="HOST:PORT,…")
    parser.add_argument(
        "--shard",
        action="append",
        default=[],
        metavar="N,N,…=HOST:PORT,…",
        help="partitions and the relays that have them; once for each shard",
    )
    parser.add_argument("--whole", metavar="HOST:PORT,…", help="relays that read everything")
    parser.add_argument("--partition-count", type=int, default=12, metavar="N")
    options = parser.parse_args(arguments)
    try:
        gateway = Gateway(
            listen=parse_address(options.listen),
            api=parse_addresses(options.api),
            shards=tuple(map(parse_shard, options.shard)),
            whole=parse_addresses(options.whole) if options.whole else (),
            partition_count=options.partition_count,
        )
        sys.stdout.write(render(gateway))
    except ShardsUnusable as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
