"""The arguments of commands: each is read from a text or from JSON, or refused. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from api_gateway.errors import InvalidArgument

Fields = Mapping[str, str]

_WHOLE: Final = re.compile(r"[0-9]{1,5}\Z")
_PIN: Final = r"[0-9]{0,16}"
_TIME: Final = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_PHONE: Final = r"\+?[0-9]{1,20}"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# So much fits into the line that a module reads, whatever the characters, with every other argument.
_TEXT: Final = r"[ -~]{%d,700}|[^\x00-\x1f\x7f]{1,180}"

MINUTES_A_DAY: Final = 24 * 60


class Argument(NamedTuple):
    """One argument: its name, what it may be, and how it is written for the car."""

    name: str
    wanted: str
    """In words, for whoever gave something else."""
    write: Callable[[str], str | None]
    """None: it is not that."""
    schema: Mapping[str, Any]
    """What it may be in JSON."""
    default: str | None = None
    """None: it must be given."""
    is_secret: bool = False
    """It may be a secret: it is never shown again."""
    show: Callable[[str], Any] = str
    """How it is shown again, from what is written for the car."""

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

    def read_json(self, value: Any) -> str:
        """The text of a value of JSON, for `read`.

        Raises:
            InvalidArgument: it is not what it may be.
        """
        if not any(_follows(schema, value) for schema in self.schema.get("anyOf", (self.schema,))):
            raise InvalidArgument(self.name, self.wanted, self.schema.get("enum", ()))
        return str(int(value)) if isinstance(value, float) else str(value)


def _follows(schema: Mapping[str, Any], value: Any) -> bool:
    if schema["type"] == "integer":
        is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
        return is_whole and schema["minimum"] <= value <= schema["maximum"]
    if not isinstance(value, str):
        return False
    return value in schema["enum"] if "enum" in schema else re.fullmatch(schema["pattern"], value) is not None


def _string(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def whole(name: str, low: int, high: int, numerals: str) -> Argument:
    """A whole number; `numerals` is a pattern of exactly these."""

    def write(text: str) -> str | None:
        return str(int(text)) if _WHOLE.match(text) and low <= int(text) <= high else None

    number = {"type": "integer", "minimum": low, "maximum": high}
    schema = {"anyOf": [number, _string(numerals)]}
    return Argument(name, f"a whole number from {low} to {high}", write, schema, show=int)


def word(name: str, numbers: Mapping[str, int]) -> Argument:
    """One of some words, or its number."""
    texts = {
        **{str(number): str(number) for number in numbers.values()},
        **{key: str(number) for key, number in numbers.items()},
    }
    words = {str(number): key for key, number in numbers.items()}
    schema = {"type": "string", "enum": list(numbers)}
    wanted = "one of " + ", ".join(texts)
    return Argument(name, wanted, lambda text: texts.get(text.lower()), schema, show=words.__getitem__)


def text(name: str, *, may_be_empty: bool = False, is_secret: bool = True) -> Argument:
    """A line of text: the last argument of a command, since it may hold commas."""

    def write(given: str) -> str | None:
        return None if _CONTROL.search(given) or not (given or may_be_empty) else given

    schema = _string(_TEXT % (not may_be_empty))
    return Argument(name, "one line of text", write, schema, is_secret=is_secret)


def _matching(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)
    return lambda given: given if compiled.fullmatch(given) else None


def _write_time(given: str) -> str | None:
    if found := re.fullmatch(_TIME, given):
        return str(int(found[1]) * 60 + int(found[2]))
    return given if _WHOLE.match(given) and int(given) < MINUTES_A_DAY else None


def _show_time(written: str) -> str:
    return "{:02}:{:02}".format(*divmod(int(written), 60))


PIN: Final = Argument("pin", "digits", _matching(_PIN), _string(_PIN), "", is_secret=True)
PHONE: Final = Argument("number", "a telephone number", _matching(_PHONE), _string(_PHONE))
START_TIME: Final = Argument(
    "starttime", "HH:MM in UTC, or minutes after midnight", _write_time, _string(_TIME), show=_show_time
)
