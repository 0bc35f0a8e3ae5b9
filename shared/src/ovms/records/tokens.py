"""One token of a record: text on the wire, a value in Python, None where the token says nothing."""

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from functools import partial
from math import isfinite
from typing import Any, Final, NamedTuple

LARGEST_INTEGER: Final = 2**63 - 1  # the firmware's metrics have at most 64 bits


class Codec(NamedTuple):
    """How tokens of one type are read and written. `read` never raises; `write` is not asked for None."""

    read: Callable[[str], object]
    write: Callable[[Any], str]


def codec(kind: type, *, per: int = 1, base: int = 10) -> Codec:
    """The codec of a type: float, int, bool, str or a closed set.

    Args:
        kind: The type of the value.
        per: The wire carries whole numbers that are as many times a float (10: tenths).
        base: The base of an int on the wire, 10 or 16.
    """
    if kind is float and per != 1:
        return Codec(partial(read_fraction, per=per), partial(write_fraction, per=per))
    if kind is int:
        return Codec(partial(read_integer, base=base), partial(write_integer, base=base))
    if issubclass(kind, Enum):
        return Codec(partial(read_member, kind), write_member)
    return PLAIN[kind]


def read_number(token: str) -> float | None:
    """A finite decimal number. The firmware prints nan where a sensor has no value: None."""
    if not _is_plain(token):
        return None
    try:
        number = float(token)
    except ValueError:
        return None
    return number if isfinite(number) else None


def write_number(number: float) -> str:
    """The shortest text that reads back as the same number."""
    return repr(float(number)).removesuffix(".0")


def read_fraction(token: str, *, per: int) -> float | None:
    """A number that the wire carries multiplied."""
    number = read_number(token)
    return None if number is None or abs(number) > LARGEST_INTEGER else number / per


def write_fraction(number: float, *, per: int) -> str:
    """A whole number, as many times the value."""
    return str(round(number * per))


def read_integer(token: str, *, base: int = 10) -> int | None:
    """A whole number of at most 64 bits."""
    if not _is_plain(token):
        return None
    try:
        number = int(token, base)
    except ValueError:
        return None
    return number if abs(number) <= LARGEST_INTEGER else None


def write_integer(number: int, *, base: int = 10) -> str:
    """Decimal, or hexadecimal as the firmware's `%x` prints it."""
    return format(number, "x" if base == 16 else "d")


def read_sign(token: str) -> bool | None:
    """Whether a number is not negative."""
    number = read_integer(token)
    return None if number is None else number >= 0


def write_sign(answer: bool) -> str:
    """0 for yes, -1 for no."""
    return "0" if answer else "-1"


def write_boolean(answer: bool) -> str:
    """1 for yes, 0 for no."""
    return "1" if answer else "0"


def read_text(token: str) -> str | None:
    """The token itself; the empty one says nothing."""
    return token or None


def write_text(text: str) -> str:
    """Text without what separates fields and lines: firmware mp_encode() replaces them the same way."""
    return text.replace("\r\n", "\r").replace("\n", "\r").replace(",", ";")


def read_member(kind: type[Enum], token: str) -> Enum | None:
    """A member of a closed set of words or numbers."""
    value = token if issubclass(kind, StrEnum) else read_integer(token)
    try:
        return kind(value)
    except ValueError:
        return None


def write_member(member: Enum) -> str:
    """The word or number of a member."""
    return str(member.value)


PLAIN: Final[Mapping[type, Codec]] = {
    float: Codec(read_number, write_number),
    bool: Codec({"0": False, "1": True}.get, write_boolean),
    str: Codec(read_text, write_text),
}


def _is_plain(token: str) -> bool:
    # Python's own readers also take the digits of every script, and underlines between them.
    return token.isascii() and "_" not in token
