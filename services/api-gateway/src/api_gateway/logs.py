"""Logs: one JSON object a line on standard output."""

import logging
import sys
from typing import Any, BinaryIO

import orjson
import structlog


def make_log(level: str, stream: BinaryIO | None = None) -> Any:
    """A structlog logger of its own; nothing global is set."""
    return structlog.wrap_logger(
        structlog.BytesLogger(stream or sys.stdout.buffer),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    ).bind(service="api-gateway")


class ToStructlog(logging.Handler):
    """Hands what libraries log, from warnings up, to our log."""

    def __init__(self, log: Any) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; the library's own words, without its exception's values."""
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
