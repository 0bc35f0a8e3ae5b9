"""An id for every request: that which its caller gives it, or one of ours. The answer and the request's log lines have it."""

import re
import secrets
from collections.abc import Iterable
from typing import Final

HEADER: Final = b"x-request-id"

# Without what would have to be escaped somewhere, and bounded: it is written with every line.
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id of a request with these headers."""
    given = next((value for name, value in headers if name == HEADER), b"")
    return given.decode() if _WELL_FORMED.match(given) else secrets.token_hex(8)
