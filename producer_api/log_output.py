"""How log lines look: one JSON object each, or coloured for a terminal. No line holds a body."""

import logging
import sys
import time
from collections.abc import Callable

import structlog

from producer_api.settings import LogFormat

_LINES_PER_SECOND = 1
_TALKATIVE = "aiokafka"


class LineRate(logging.Filter):
    """Passes one line of each of the Kafka client's loggers in a second: it writes hundreds during an outage."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._windows: dict[str, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line passes; everybody else's do."""
        if not record.name.startswith(_TALKATIVE):
            return True
        second = int(self._now())
        began, count = self._windows.get(record.name, (second, 0))
        count = count + 1 if began == second else 1
        self._windows[record.name] = (second, count)
        return count <= _LINES_PER_SECOND


def configure_logs(log_format: LogFormat) -> None:
    """Send all log lines, ours and the libraries', to standard error in one format."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
            foreign_pre_chain=shared,
        )
    )
    handler.addFilter(LineRate())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger(_TALKATIVE).setLevel(logging.WARNING)
