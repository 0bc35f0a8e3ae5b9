"""Rows as CSV (RFC 4180) and as a JSON object a line. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final

import orjson

CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"

_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
# What spreadsheets take for a formula where a cell begins with it, be it quoted or not.
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?\Z", re.ASCII)


def write_ndjson(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Each row as a line of JSON."""
    return b"".join(orjson.dumps(row, option=_OPTIONS) for row in rows)


def write_csv_head(columns: Sequence[str]) -> bytes:
    """The line of the columns' names."""
    return _write([columns])


def write_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Each row as a line of CSV; a text that spreadsheets would run gets an apostrophe before it."""
    return _write([_cell(value) for value in row.values()] for row in rows)


def _write(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Enum():
            return _cell(value.value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case str() if _FORMULA.match(value) and not _NUMBER.match(value):
            return "'" + value
        case _:
            return str(value)
