"""Tables of error codes, and the errors that cars name."""

import tempfile
from contextlib import suppress
from pathlib import Path

from car_protocol.notifications.error_codes import ErrorCodes, ErrorCodesUnreadable
from fuzz.script import MARK

TABLE = ErrorCodes({"VA": {"1": "100 %% of %d", "2": "%d %d"}, "V": {"2": "%", "": "nothing"}})
_DIRECTORY = tempfile.TemporaryDirectory()


def check(data: bytes) -> None:
    message, mark, table = data.partition(MARK)
    text = message.decode("utf-8", "replace")
    _check_text(TABLE.expand(text), text)
    if mark:
        directory = Path(_DIRECTORY.name)
        (directory / "any.vece").write_bytes(table)
        with suppress(ErrorCodesUnreadable):
            _check_text(ErrorCodes.load(directory).expand(text), text)


def _check_text(expanded: str, text: str) -> None:
    assert expanded.startswith("Vehicle Alert")
    expanded.encode()
    # What is made of it goes into a record, which is one line.
    assert "\n" in text or "\n" not in expanded
