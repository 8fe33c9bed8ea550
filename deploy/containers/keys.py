"""Make the keys once, on two volumes: `python -m deploy.containers.keys PRIVATE_FOLDER PUBLIC_FOLDER`.

The relay mounts the second one alone, so that what signs tickets is not even in its container.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from deploy.local.keys import keys_in


def share_keys(private: Path, public: Path) -> None:
    """Make what is missing in the private folder and put the public key into the other one, whole or not at all."""
    keys = keys_in(private)
    partial = public / "ticket.pub.pem.partial"
    partial.write_bytes(keys.ticket_public.read_bytes())
    partial.replace(public / "ticket.pub.pem")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the init job."""
    parser = argparse.ArgumentParser(prog="python -m deploy.containers.keys", description="Make the keys once.")
    parser.add_argument("private", type=Path, help="folder for the API: private key and secret")
    parser.add_argument("public", type=Path, help="folder for the relay: public key")
    chosen = parser.parse_args(arguments)
    share_keys(chosen.private, chosen.public)
    print("keys are ready")


if __name__ == "__main__":
    main()
