"""Data as YAML that people can read: blocks for what has parts, JSON for what has none."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z$_/][A-Za-z0-9$_/-]*\Z")
_WORDS_OF_YAML: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def write_yaml(data: Mapping[str, Any]) -> str:
    """A document of mappings, sequences, strings, numbers, truths and nulls."""
    return "".join(f"{line}\n" if line else "\n" for line in _mapping(data))


def _mapping(data: Mapping[str, Any]) -> Iterator[str]:
    for key, value in data.items():
        first, *others = _value(value)
        yield f"{_text(key)}:{first and ' ' + first}"
        yield from (line and f"  {line}" for line in others)


def _sequence(data: Sequence[Any]) -> Iterator[str]:
    for value in data:
        first, *others = _value(value)
        yield from (f"- {first}", *(line and f"  {line}" for line in others)) if first else _item(others)


def _item(lines: Sequence[str]) -> Iterator[str]:
    """A mapping begins beside the dash."""
    yield f"- {lines[0]}"
    yield from (line and f"  {line}" for line in lines[1:])


def _value(value: Any) -> list[str]:
    """The first line stands beside what the value belongs to."""
    if isinstance(value, Mapping) and value:
        return ["", *_mapping(value)]
    if isinstance(value, list | tuple) and value:
        return ["", *_sequence(value)] if any(isinstance(part, Mapping) for part in value) else [_json(value)]
    if isinstance(value, str):
        return ["|", *value.splitlines()] if value.endswith("\n") else [_text(value)]
    return [_json(value)]


def _text(text: str) -> str:
    is_plain = _PLAIN.match(text) and text.lower() not in _WORDS_OF_YAML
    return text if is_plain else _json(text)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
