"""What a car says to a command: `c<number>,<result>[,<words>]` (manual, message 0x63). Pure."""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from ovms.protocol.commands import read_answer

_REPLY: Final = re.compile(rb"c(\d{1,5}),(\d{1,9})(?:,(.*))?\Z", re.DOTALL)
_ITEM: Final = re.compile(r"(\d{1,4}),(\d{1,4}),(.*)\Z", re.DOTALL)

MOST_ITEMS: Final = 1024


class Result(IntEnum):
    """The result of a command; others count as failed."""

    DONE = 0
    FAILED = 1
    UNSUPPORTED = 2
    UNIMPLEMENTED = 3


class Reply(NamedTuple):
    """One answer."""

    result: int
    words: str
    """With line feeds, where the protocol has carriage returns."""


class Item(NamedTuple):
    """A feature or a parameter."""

    number: int
    of: int
    value: str


def is_sealed(message: bytes) -> bool:
    """Whether an answer is encrypted: the car is in paranoid mode."""
    return message[:1] == b"E"


def read_reply(message: bytes) -> Reply:
    """Read an answer; one that is none says that the car failed."""
    if (found := _REPLY.match(message)) is None:
        return Reply(Result.FAILED, "")
    words = (found[3] or b"").decode("utf-8", "replace")
    return Reply(int(found[2]), words.replace("\r\n", "\n").replace("\r", "\n"))


def read_item(words: str) -> Item | None:
    """Read one of many answers; None where it is none of these."""
    found = _ITEM.match(words)
    return Item(int(found[1]), int(found[2]), found[3]) if found else None


def is_last(message: bytes) -> bool:
    """Return whether no other answer follows; none follows one that cannot be read, or is encrypted."""
    answer = read_answer(message)
    return answer is None or answer[1]


def list_items(messages: Sequence[bytes]) -> list[dict[str, Any]]:
    """The items of a list, all numbers below its count; those that the car left out are not available."""
    items = [item for message in messages if (item := read_item(read_reply(message).words)) is not None]
    values = {item.number: item.value for item in items}
    count = min(max((item.of for item in items), default=0), MOST_ITEMS)
    return [{"number": number, "value": values.get(number), "available": number in values} for number in range(count)]
