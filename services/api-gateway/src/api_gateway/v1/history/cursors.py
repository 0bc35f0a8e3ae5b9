"""Cursors: where a page has ended, as text that means nothing to callers. Pure."""

import base64
import binascii
from typing import Final

import orjson

from api_gateway.v1.errors import InvalidRequest
from ovms.times import read_micros

Key = tuple[int | str, ...]

LONGEST: Final = 1024
_LARGEST: Final = 2**63

_WANTED: Final = "It has to be the `next` of an answer to the same call"


def write_cursor(key: Key) -> str:
    """What leads to the rows after the one of this key."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).rstrip(b"=").decode()


def read_cursor(text: str, *kinds: type) -> Key:
    """The key in a cursor, which has parts of these types; the first is a time in microseconds, where it is a number.

    Raises:
        InvalidRequest: there is none.
    """
    key = _decode(text) if len(text) <= LONGEST else None
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds) or not all(map(_is_possible, key)):
        raise InvalidRequest.of_query("cursor", _WANTED)
    if isinstance(key[0], int):
        _check_time(key[0])
    return tuple(key)


def _decode(text: str) -> object:
    try:
        return orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, orjson.JSONDecodeError, ValueError):
        return None


def _is_possible(part: object) -> bool:
    if isinstance(part, int):
        return -_LARGEST <= part < _LARGEST
    return isinstance(part, str) and "\0" not in part


def _check_time(micros: int) -> None:
    try:
        read_micros(micros)
    except OverflowError:
        raise InvalidRequest.of_query("cursor", _WANTED) from None
