"""Answers to the byte: no charset behind the content type, sorted keys, no blanks, a line feed at the end."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from api_gateway.errors import ApiError

_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
JSON: Final = (b"content-type", b"application/json")
_TEXT: Final = (b"content-type", b"text/plain")


class Plain(Response):
    """A response with the headers it is given: starlette's own adds `; charset=utf-8`, which no client here expects."""

    def __init__(self, body: bytes, status: int, *headers: tuple[bytes, bytes]) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]


def json_answer(value: Any, status: int = 200) -> Plain:
    """A value as the reference writes JSON."""
    return Plain(orjson.dumps(value, option=_OPTIONS), status, JSON)


def json_body(value: Any) -> bytes:
    """Return the same JSON without the line feed, for a part of an answer."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def json_typed_text(text: str) -> Plain:
    """A text that the reference calls JSON."""
    return Plain(text.encode() + b"\n", 200, JSON)


def text_answer(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Plain:
    """One line of text."""
    more = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Plain(text.encode() + b"\n", status, _TEXT, *more)


def empty_answer(status: int) -> Plain:
    """A status and nothing else."""
    return Plain(b"", status, _TEXT)


def error_answer(error: ApiError | type[ApiError]) -> Plain:
    """An error as its caller sees it."""
    return text_answer(error.detail, error.status, error.headers)
