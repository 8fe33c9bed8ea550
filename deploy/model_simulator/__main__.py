"""Start the simulator: `python -m deploy.model_simulator --port 8090 --profile realistic`."""

import argparse
import ctypes
import logging
import os
import signal
import sys
from typing import Any, get_args

import uvloop

from deploy.model_simulator.pace import ProfileName
from deploy.model_simulator.server import serve
from deploy.model_simulator.settings import Settings

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Read the command line and the environment, then serve."""
    settings = read_settings(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    if settings.die_with_parent == "yes":
        die_with_parent()
    uvloop.run(serve(settings))


def read_settings(arguments: list[str]) -> Settings:
    """Return the settings; an option that is given wins over the environment."""
    parser = argparse.ArgumentParser(prog="python -m deploy.model_simulator", description=__doc__)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--profile", choices=get_args(ProfileName))
    parser.add_argument("--die-with-parent", action="store_const", const="yes")
    given: dict[str, Any] = {
        name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None
    }
    return Settings(**given)


def die_with_parent() -> None:
    """Ask the kernel (Linux) to end this process when its parent ends, and leave if that has happened."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent ended before the start")


if __name__ == "__main__":
    main(sys.argv[1:])
