"""The schemas of the state calls, made from the declarations of the records: titles and units stand there once."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from api_gateway.legacy.declared import INTEGER, TIME
from ovms.records.parts import ViewField
from ovms.records.views import View

_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "text": {"type": ["string", "null"]},
    "bit": {"type": "integer"},
    "number": {"type": ["number", "null"]},
}


def view_schema(view: View, letters: Iterable[str]) -> dict[str, Any]:
    """The schema of a view's answer; `letters` are those of its times and ages."""
    # The first record that has a member wins, as it does in the answer.
    properties = {field.name: _member(field) for field in reversed(view.fields)}
    for letter in sorted(letters):
        properties[f"m_msgtime_{letter}"] = {**TIME, "title": f"When the {letter.upper()} message came"}
        properties[f"m_msgage_{letter}"] = {**INTEGER, "title": "Seconds since then", "x-unit": "s"}
    schema: dict[str, Any] = {"type": "object", "properties": dict(sorted(properties.items()))}
    if view.wheel_fields:
        schema["patternProperties"] = {f"^.+_{field.name}$": _member(field) for field in view.wheel_fields}
        _reconcile(schema["properties"], schema["patternProperties"])
    return schema


def _reconcile(properties: dict[str, Any], patterns: dict[str, Any]) -> None:
    # JSON Schema holds a member to its own schema and to every pattern that its name fits: `fl_pressure` is a number where it
    # comes from Y and a string where it comes from W.
    for pattern, wheel in patterns.items():
        fitting = [properties[name] for name in properties if name.endswith(pattern[3:-1])]
        types = list(dict.fromkeys(kind for schema in (wheel, *fitting) for kind in schema["type"]))
        for schema in (wheel, *fitting):
            schema["type"] = types


def _member(field: ViewField) -> dict[str, Any]:
    schema = {**_TYPES[field.kind], "title": field.title}
    if field.unit:
        schema["x-unit"] = field.unit
        schema["description"] = f"In {field.unit}"
    return schema
