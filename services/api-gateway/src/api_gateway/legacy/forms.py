"""The fields of a request: from its body, whatever form that has, and from its query. Pure.

Clients send a form as `application/x-www-form-urlencoded`, as `multipart/form-data` with and without file names on the parts,
as JSON, or in the query. A field of the body takes precedence over one of the query. Everything here takes time in proportion
to the size of its input, and the numbers of fields, parts and bytes in a header are bounded: some forms are read before the
caller is authenticated.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MOST_FIELDS: Final = 64
MOST_PARTS: Final = 32
LONGEST_HEADER: Final = 1024
"""Bytes of a Content-Type, and of the headers of one part."""

_MULTIPART: Final = b"multipart/form-data"
_JSON: Final = b"application/json"


def read_fields(names: Iterable[str], content_type: str, body: bytes, query: bytes) -> dict[str, str]:
    """Return those of the named fields that the request has. A body that is malformed or past a bound has none."""
    given = {**_urlencoded(query), **_body(content_type, body)}
    return {name: given[name] for name in names if name in given}


def _body(content_type: str, body: bytes) -> Mapping[str, str]:
    if len(content_type) > LONGEST_HEADER:
        return {}
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    if kind == _MULTIPART:
        return _multipart(options.get(b"boundary", b""), body)
    if kind == _JSON or body[:1] == b"{":
        return _json(body)
    return _urlencoded(body)


def _urlencoded(text: bytes) -> dict[str, str]:
    if text.count(b"&") >= MOST_FIELDS:
        return {}
    fields = parse_qs(text.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
    return {name: values[0] for name, values in fields.items()}


def _json(body: bytes) -> dict[str, str]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(value, dict) or len(value) > MOST_FIELDS:
        return {}
    texts = {name: _text(field) for name, field in value.items()}
    return {name: text for name, text in texts.items() if text is not None}


def _text(value: Any) -> str | None:
    """A JSON value as the text that a form would have; None where a form has no such."""
    match value:
        case str():
            return value
        case bool():
            return str(int(value))  # cars know switches as 0 and 1
        case int():
            return str(value)
        case float():
            # JSON does not tell 16.0 from 16.
            return str(int(value)) if value.is_integer() else str(value)
        case _:
            return None


def _multipart(boundary: bytes, body: bytes) -> dict[str, str]:
    parts = _Parts()
    try:
        parser = MultipartParser(
            boundary,
            parts.callbacks(),  # type: ignore[arg-type]
            max_header_size=LONGEST_HEADER,
        )
        parser.write(body)
    except FormParserError:
        return {}
    return parts.fields


class _Parts:
    """Collects the parts of a multipart body: a part with a file name is a field like any other."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._count = 0
        self._header, self._value, self._data = bytearray(), bytearray(), bytearray()
        self._name: bytes | None = None

    def callbacks(self) -> Mapping[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > MOST_PARTS:
            raise FormParserError("too many parts")
        self._name = None
        self._data.clear()

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name")
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        if self._name is not None:
            self.fields.setdefault(self._name.decode("utf-8", "replace"), self._data.decode("utf-8", "replace"))
