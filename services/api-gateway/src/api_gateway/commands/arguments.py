"""The arguments of commands: each is read from a text, or refused. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from api_gateway.errors import InvalidArgument

Fields = Mapping[str, str]

_WHOLE: Final = re.compile(r"[0-9]{1,5}\Z")
_PIN: Final = re.compile(r"[0-9]{0,16}\Z")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")
_PHONE: Final = re.compile(r"\+?[0-9]{1,20}\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

MINUTES_A_DAY: Final = 24 * 60


class Argument(NamedTuple):
    """One argument: its name, what it may be, and how it is written for the car."""

    name: str
    wanted: str
    """In words, for whoever gave something else."""
    write: Callable[[str], str | None]
    """None: it is not that."""
    default: str | None = None
    """None: it must be given."""

    def read(self, fields: Fields) -> str:
        """The argument as the car takes it.

        Raises:
            InvalidArgument: it is missing, or is not what it may be.
        """
        given = fields.get(self.name, self.default)
        written = None if given is None else self.write(given)
        if written is None:
            raise InvalidArgument(self.name, self.wanted)
        return written


def whole(name: str, low: int, high: int) -> Argument:
    """A whole number."""

    def write(text: str) -> str | None:
        return str(int(text)) if _WHOLE.match(text) and low <= int(text) <= high else None

    return Argument(name, f"a whole number from {low} to {high}", write)


def word(name: str, numbers: Mapping[str, int]) -> Argument:
    """One of some words, or its number."""
    texts = {
        **{str(number): str(number) for number in numbers.values()},
        **{key: str(number) for key, number in numbers.items()},
    }
    return Argument(name, "one of " + ", ".join(texts), lambda text: texts.get(text.lower()))


def text(name: str, *, may_be_empty: bool = False) -> Argument:
    """A line of text: the last argument of a command, since it may hold commas."""

    def write(given: str) -> str | None:
        return None if _CONTROL.search(given) or not (given or may_be_empty) else given

    return Argument(name, "one line of text", write)


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda given: given if pattern.match(given) else None


def _write_time(given: str) -> str | None:
    if found := _TIME.match(given):
        return str(int(found[1]) * 60 + int(found[2]))
    return given if _WHOLE.match(given) and int(given) < MINUTES_A_DAY else None


PIN: Final = Argument("pin", "digits", _matching(_PIN), "")
PHONE: Final = Argument("number", "a telephone number", _matching(_PHONE))
START_TIME: Final = Argument("starttime", "HH:MM in UTC, or minutes after midnight", _write_time)
