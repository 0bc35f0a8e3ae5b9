"""The fields of a request: from its body, whatever form that has, and from its query. Pure.

Clients send a form as `application/x-www-form-urlencoded`, as `multipart/form-data` with and without file names on the parts,
as JSON, or in the query. A field of the body wins over one of the query.
"""

from collections.abc import Iterable, Mapping
from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

_MULTIPART: Final = "multipart/form-data"
_JSON: Final = "application/json"


def read_fields(names: Iterable[str], content_type: str, body: bytes, query: bytes) -> dict[str, str]:
    """Those of these fields that the request gives; a body that does not parse gives none."""
    given = {**_urlencoded(query), **_body(content_type, body)}
    return {name: given[name] for name in names if name in given}


def _body(content_type: str, body: bytes) -> Mapping[str, str]:
    header = Message()
    header["content-type"] = content_type
    kind = header.get_content_type() if content_type else ""
    if kind == _MULTIPART:
        return _multipart(str(header.get_param("boundary", "")), body)
    if kind == _JSON or body[:1] == b"{":
        return _json(body)
    return _urlencoded(body)


def _urlencoded(text: bytes) -> dict[str, str]:
    fields = parse_qs(text.decode("utf-8", "replace"), keep_blank_values=True, errors="replace", max_num_fields=None)
    return {name: values[0] for name, values in fields.items()}


def _json(body: bytes) -> dict[str, str]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(value, dict):
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


def _multipart(boundary: str, body: bytes) -> dict[str, str]:
    parts = _Parts()
    try:
        parser = MultipartParser(boundary.encode("latin-1", "replace"), parts.callbacks())  # type: ignore[arg-type]
        parser.write(body)
    except FormParserError:
        return {}
    return parts.fields


class _Parts:
    """Collects the parts of a multipart body: a part with a file name is a field like any other."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._header, self._value, self._data = bytearray(), bytearray(), bytearray()
        self._name: str | None = None

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
        self._name = None
        self._data.clear()

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            disposition = Message()
            disposition["content-disposition"] = self._value.decode("utf-8", "replace")
            name = disposition.get_param("name", header="content-disposition")
            self._name = str(name) if name is not None else None
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        if self._name is not None:
            self.fields.setdefault(self._name, self._data.decode("utf-8", "replace"))
