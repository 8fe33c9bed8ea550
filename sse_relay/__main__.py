"""Run the relay: `python -m sse_relay`. Settings come from the environment; see settings.py."""

import logging
import resource
import sys

import structlog
from pydantic import ValidationError

from sse_relay.app import build_app
from sse_relay.relay import build_relay
from sse_relay.server import build_server, listen
from sse_relay.settings import Settings


def main() -> int:
    """Serve until SIGTERM; exit status 0 after a drain, 2 when the settings cannot be used."""
    try:
        settings = Settings()
        _configure_logging(settings.log_level)
        relay = build_relay(settings)
        listener = listen(settings)
    except (ValidationError, ValueError, OSError) as error:
        sys.stderr.write(f"relay: {error}\n")
        return 2
    _raise_file_limit()
    server = build_server(build_app(relay, lambda: stop()), settings, relay.drain.begin)

    def stop() -> None:
        server.should_exit = True

    structlog.get_logger(__name__).info("relay.started", port=listener.getsockname()[1], topic=settings.topic)
    server.run(sockets=[listener])
    return 0


def _raise_file_limit() -> None:
    """Allow as many open files as this process may have: each stream is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _configure_logging(level: str) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format='{"event":"%(name)s","detail":"%(message)s"}')
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
