"""Commands to a car and its answers: `C<number>[,<arguments>]`, `c<number>,<result>[,<text>]` (manual, messages 0x43, 0x63)."""

import re
from typing import Final

COMMAND: Final = re.compile(rb"C(\d{1,5})(?:,(.*))?\Z", re.DOTALL)
"""Number and arguments."""

_ANSWER: Final = re.compile(rb"c(\d{1,5}),(\d{1,9})(?:,(\d{1,9}),(\d{1,9}))?")
_LISTS: Final = (1, 3)
"""Features and parameters come as many answers, `c1,0,<index>,<count>,…`; the last is that of index = count - 1."""

# A module keeps what it receives in 1,024 bytes (firmware, `OvmsBuffer(1024)`); a line that does not fit is never read and
# nothing after it either. So much of a message makes a line of 1,022 characters and its end: base64 of it after `MP-0 `.
MOST_TO_A_CAR: Final = 1020 // 4 * 3 - len(b"MP-0 ")

NOT_CONNECTED: Final = "Vehicle is not connected"
"""The text of the answer that the server gives in place of a car that is not connected; its result is 1, failed."""


def read_answer(message: bytes) -> tuple[int, bool] | None:
    """Return the number of the command that is answered, and whether no other answer follows; None: it is not an answer."""
    if (found := _ANSWER.match(message)) is None:
        return None
    number, result, index, count = (int(part or 0) for part in found.groups())
    return number, number not in _LISTS or result != 0 or index >= count - 1


def not_connected(number: int) -> bytes:
    """Return the answer to a command for a car that is not connected."""
    return b"c%d,1,%b" % (number, NOT_CONNECTED.encode())
