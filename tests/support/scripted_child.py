"""A child process with the scripted model."""

import sys

from stream_processors.child import run_child
from stream_processors.log_output import configure_logging
from tests.support.scripted_model import scripted_services

if __name__ == "__main__":
    configure_logging("INFO")
    run_child(scripted_services, sys.stdin.buffer, sys.stdout.buffer)
