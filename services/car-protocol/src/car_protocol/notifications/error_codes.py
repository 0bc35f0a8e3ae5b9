"""Texts for the error codes of cars, from files in the reference's `vece` format: a section a vehicle type, `<code>=<text>`.

The service brings tables of its own; the operator's may replace any of their texts, and add others.

A text may have one `%d`, which stands for the error's data. A type without a table of its own uses that of a shorter type:
a code that `VA2` does not have is looked up in `VA`.
"""

import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from pathlib import Path
from typing import Final

from ovms.errors import OvmsError

_NUMBER: Final = re.compile(r"-?\d{1,18}\Z", re.ASCII)

TABLES: Final = Path(__file__).parent / "tables"
"""The service's own."""
NONE: Final[Mapping[str, Mapping[str, str]]] = {}


class ErrorCodesUnreadable(OvmsError):
    """A table of error codes is not in the format."""


class ErrorCodes:
    """Texts by vehicle type, then by code."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]] = NONE) -> None:
        self._tables = tables

    @classmethod
    def load(cls, *directories: Path) -> "ErrorCodes":
        """Read every `*.vece` file of some directories; later files add to earlier ones, and replace their texts.

        Raises:
            ErrorCodesUnreadable: a file cannot be read or has another format.
        """
        parser = ConfigParser(interpolation=None, strict=False)
        for path in [path for directory in directories for path in sorted(directory.glob("*.vece"))]:
            try:
                parser.read_string(path.read_text("utf-8"), str(path))
            except (OSError, UnicodeDecodeError, ConfigParserError) as error:
                raise ErrorCodesUnreadable(f"{path}: {error}") from error
        # A text that goes on in the next line of its file is still one line of the protocol.
        return cls({name: {code: text.replace("\n", " ") for code, text in parser[name].items()} for name in parser.sections()})

    def expand(self, message: str) -> str:
        """The words for `<vehicle type>,<code>,<data>`."""
        vehicle_type, code, data = (*message.split(","), "", "", "")[:3]
        number = int(data) if _NUMBER.match(data) else 0
        known = vehicle_type
        while known:
            text = self._tables.get(known, {}).get(code)
            if text is not None:
                return f"Vehicle Alert #{code}: {text.replace('%d', str(number), 1).replace('%%', '%')}"
            known = known[:-1]
        return f"Vehicle Alert Code: {vehicle_type}/{code or 0} ({number & 0xFFFFFFFF:08x})"
