"""Times: as the protocol and the legacy API write and read them (UTC, `YYYY-MM-DD HH:MM:SS`), and as RFC 3339 does."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

FORMAT: Final = "%Y-%m-%d %H:%M:%S"

# The beginning of time: what a `since` that is absent or cannot be read stands for, so that nothing is held back.
EVERYTHING: Final = datetime(1, 1, 1, tzinfo=UTC)

# MySQL takes any mark between the numbers and a time cut short at any place, or the digits alone.
_SPACED: Final = re.compile(
    r"\s*(\d{4})[^\w\s](\d{1,2})[^\w\s](\d{1,2})(?:[T\s]+(\d{1,2})(?:[^\w\s](\d{1,2})(?:[^\w\s](\d{1,2})(?:\.(\d{1,6}))?)?)?)?",
    re.ASCII,
)
_COMPACT: Final = re.compile(r"\s*(\d{4})(\d\d)(\d\d)(?:T?(\d\d)(\d\d)(\d\d))?(?!\d)", re.ASCII)

_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def write_seconds(unix_time: int) -> str:
    """A Unix time in that form; what is polled is written again and again."""
    return write_time(datetime.fromtimestamp(unix_time, UTC))


def write_time(moment: datetime) -> str:
    """A moment in that form."""
    return moment.astimezone(UTC).strftime(FORMAT)


def read_since(text: str | None) -> datetime:
    """The moment that a `since` names; a date alone is its midnight.

    The reference hands the text to MySQL, which compares with what it can read of it. Here what cannot be read, a date that
    does not exist included, is `EVERYTHING`: a client that asks for too much loses nothing.
    """
    found = (_SPACED.match(text) or _COMPACT.match(text)) if text else None
    if found is None:
        return EVERYTHING
    year, month, day, hour, minute, second, *fraction = (group or "0" for group in found.groups())
    micros = int((fraction[0] if fraction else "0").ljust(6, "0"))
    try:
        return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, UTC)
    except ValueError:
        return EVERYTHING


def read_rfc3339(text: str) -> datetime:
    """A moment as RFC 3339 writes it, in UTC.

    Raises:
        ValueError: it is none, or none that Python can tell.
    """
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a time as in RFC 3339, such as 2026-11-22T19:00:00Z")


def write_micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - UNIX_EPOCH) // timedelta(microseconds=1)


def read_micros(micros: int) -> datetime:
    """The moment so many microseconds after 1970.

    Raises:
        OverflowError: Python cannot tell it.
    """
    return UNIX_EPOCH + timedelta(microseconds=micros)
