"""Parts of answers, kept by the bytes of the messages that they are made of.

A car repeats most of its messages unchanged, and apps poll every few seconds, so that most answers are made of the same parts.
Each cache is bounded and drops what was not used for the longest time; `clear` empties them when a vehicle is removed.
"""

from functools import lru_cache
from typing import Final

import orjson

from ovms.records import RECORDS, Record, decode
from ovms.records.views import View

LegacyJson = dict[str, str | int | float | None]
JSON_OPTIONS: Final = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
"""Of the typed API."""


@lru_cache(maxsize=4096)
def members(view: View, messages: tuple[tuple[str, bytes], ...]) -> LegacyJson:
    """Return the members of a legacy answer, from the codes and data of messages; the caller must not change them."""
    return view.render({code: data.decode("utf-8", "replace") for code, data in messages})


@lru_cache(maxsize=8192)
def record(code: str, data: bytes) -> Record:
    """Return the record in a message."""
    return decode(RECORDS[code], data.decode("utf-8", "replace"))


@lru_cache(maxsize=8192)
def record_json(code: str, data: bytes) -> orjson.Fragment:
    """Return the record in a message as JSON of the typed API."""
    return orjson.Fragment(orjson.dumps(record(code, data), option=JSON_OPTIONS))


def clear() -> None:
    """Empty the caches."""
    for cached in (members, record, record_json):
        cached.cache_clear()
