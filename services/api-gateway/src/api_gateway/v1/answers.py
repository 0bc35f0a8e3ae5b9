"""Answers of the typed API: compact JSON, times in RFC 3339, and tags by which a caller need not be told the same twice."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

import orjson
from starlette.responses import Response

from api_gateway.answers import Plain
from api_gateway.rendered import JSON_OPTIONS
from ovms.db.state import Message

_JSON: Final = (b"content-type", b"application/json")

_NO_STORE: Final = (b"cache-control", b"no-store")
EXPOSED: Final = (
    b"access-control-expose-headers",
    b"ETag, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy",
)

# What is answered is one caller's, and newer the next time: it may be kept, but not used unasked.
VARY: Final = ((b"vary", b"Authorization, Cookie, Accept"), EXPOSED)
HEADERS: Final = ((b"cache-control", b"private, no-cache"), *VARY)


def json_body(value: Any) -> bytes:
    """A value as JSON."""
    return orjson.dumps(value, option=JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE)


def json_answer(value: Any, *headers: tuple[bytes, bytes]) -> Response:
    """A value as an answer."""
    return Plain(json_body(value), 200, _JSON, *HEADERS, *headers)


def created(value: Any, location: str) -> Response:
    """Something new, and where it is; it may hold a secret, so nothing keeps it."""
    return Plain(json_body(value), 201, _JSON, _NO_STORE, EXPOSED, (b"location", location.encode()))


def done() -> Response:
    """It is done, and there is nothing to say."""
    return _Bare(204, _NO_STORE, EXPOSED)


def tag_of(messages: Iterable[Message]) -> bytes:
    """The entity tag of what is made from these messages; weak, since an answer also says how old they are now."""
    found = blake2b(digest_size=12)
    for code, data, received_at, paranoid, token in messages:
        found.update(f"{code}{received_at}{paranoid:d}{len(token)}:{token}{len(data)}:".encode())
        found.update(data)
    return b'W/"%s"' % found.hexdigest().encode()


def is_known(tag: bytes, if_none_match: str | None) -> bool:
    """Whether the caller has what this tag stands for (RFC 9110, 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    opaque = tag.decode().removeprefix("W/")
    known = [entry.strip().removeprefix("W/") for entry in if_none_match.split(",")]
    return opaque in known or "*" in known


def not_modified(tag: bytes) -> Response:
    """What the caller has is what there is."""
    return _Bare(304, (b"etag", tag), *HEADERS)


class _Bare(Plain):
    """A 204 or 304: no body, and no length of one."""

    def __init__(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(b"", status)
        self.raw_headers = [*headers]
