"""`python -m producer_api`: run the API until SIGTERM or Ctrl-C."""

import signal
import sys
from typing import NoReturn

import structlog
import uvicorn
from pydantic import ValidationError

from producer_api.app import create_app
from producer_api.bounded_protocol import bounded_protocol
from producer_api.log_output import configure_logs
from producer_api.settings import Settings

_log = structlog.get_logger()


def main() -> int:
    """Run it; requests in flight end before it does. Exit status 2 when the settings are not usable."""
    try:
        settings = Settings()
        configure_logs(settings.log_format)
        app = create_app(settings)
    except ValidationError as error:
        return _refuse([f"{'.'.join(map(str, each['loc'])) or 'settings'}: {each['msg']}" for each in error.errors()])
    except (OSError, ValueError) as error:
        return _refuse([str(error)])
    # uvicorn drains on both, then raises the signal again: that must end us in peace.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=bounded_protocol(settings.header_seconds, settings.header_bytes),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.connection_count,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    uvicorn.Server(config).run()
    return 0


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(0)


def _refuse(problems: list[str]) -> int:
    for problem in problems:
        print(f"producer_api: {problem}", file=sys.stderr)  # noqa: T201  before there is a log
    return 2


if __name__ == "__main__":
    sys.exit(main())
