"""In which form a caller wants an answer (RFC 9110, 12.5.1: Accept). Pure."""

import re
from collections.abc import Sequence
from typing import Final

_QUALITY: Final = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*\Z", re.IGNORECASE)


def choose(accept: str | None, offered: Sequence[str]) -> str | None:
    """The media type among those offered, the preferred first, that the caller likes best; None where he takes none.

    A type counts as much as the most specific range says that it is in; other parameters than `q` are not looked at.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_read(entry) for entry in accept.split(",")]
    best, most = None, 0.0
    for kind in offered:
        quality = _quality(kind, ranges)
        if quality > most:
            best, most = kind, quality
    return best


def _read(entry: str) -> tuple[str, float]:
    name, *parameters = entry.split(";")
    quality = 1.0
    for parameter in parameters:
        if found := _QUALITY.match(parameter.strip()):
            quality = float(found[1])
    return name.strip().lower(), quality


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    for wanted in (kind, kind.partition("/")[0] + "/*", "*/*"):
        found = [quality for name, quality in ranges if name == wanted]
        if found:
            return max(found)
    return 0.0
