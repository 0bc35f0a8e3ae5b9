"""Logs of both services: one JSON object a line on standard output, without secrets.

A line that a request causes has the request's id; one about a connection of a car or app has that connection's.
"""

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, BinaryIO, Final

import orjson
import structlog

from ovms.outages import Outages
from ovms.redaction import Redactor

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""The id of the request that is answered."""


def make_log(
    service: str, level: str, redactor: Redactor, stream: BinaryIO | None = None, stores: Mapping[str, str] | None = None
) -> Any:
    """A structlog logger of its own, at `level` (debug, info, warning, error) and above; nothing global is set.

    Args:
        stores: the addresses of the stores, by store (`ovms.outages`).
    """
    return structlog.wrap_logger(structlog.BytesLogger(stream or sys.stdout.buffer), **_how(service, level, redactor, stores))


def configure_logging(service: str, level: str, redactor: Redactor, stores: Mapping[str, str] | None = None) -> None:
    """The same for all who ask `structlog.get_logger`; called once, by a service's entry point."""
    structlog.configure(
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer), **_how(service, level, redactor, stores)
    )


class ToStructlog(logging.Handler):
    """Hands what libraries log, from warnings up, to our log."""

    def __init__(self, log: Any) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, in the library's own words."""
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


class _Named:
    """Says which service a line is of, and which request."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = self._service
        if (request_id := REQUEST_ID.get()) is not None:
            line["request_id"] = request_id
        return line


def _how(service: str, level: str, redactor: Redactor, stores: Mapping[str, str] | None) -> dict[str, Any]:
    return {
        "processors": [
            Outages(stores or {}),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Named(service),
            structlog.processors.format_exc_info,
            redactor,
            structlog.processors.JSONRenderer(serializer=_write),
        ],
        "wrapper_class": structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        "cache_logger_on_first_use": True,
    }


def _write(line: Any, **_: Any) -> bytes:
    try:
        return orjson.dumps(line)
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits.
        return json.dumps(line, separators=(",", ":")).encode()
