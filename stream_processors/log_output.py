"""Log output: one line of JSON for each event on the standard error, and no flood while the broker is away."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

_QUIET = ("aiokafka", "kafka", "faust", "mode")
_WINDOW_SECONDS = 10.0
_LINES_PER_WINDOW = 5


class RateLimit(logging.Filter):
    """Lets five lines of a logger through in ten seconds, and then says how many it held back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is let through."""
        now = self._clock()
        began, count = self._windows.get(record.name, (now, 0))
        if now - began >= _WINDOW_SECONDS:
            held_back = count - _LINES_PER_WINDOW
            if held_back > 0:
                record.msg = f"{record.getMessage()} ({held_back} more lines of this logger were held back)"
                record.args = ()
            began, count = now, 0
        self._windows[record.name] = (began, count + 1)
        return count < _LINES_PER_WINDOW


def configure_logging(level: str) -> None:
    """Send our log events, and warnings of the libraries below, to the standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    handler.addFilter(RateLimit())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class _JsonLines(logging.Formatter):
    """Lines of the libraries in the same form. Without tracebacks: those of an HTTP client can hold what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self._render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "event": "library.logged",
            "logger": record.name,
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return str(self._render(None, "", line))
