"""The schemas of the state calls, made from the declarations of the records: titles and units stand there once."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from api_gateway.legacy.declared import INTEGER, TIME
from ovms.records.parts import ViewField
from ovms.records.views import View

# Made up, one of each record; what the answers' examples are rendered from.
EXAMPLES: Final[Mapping[str, str]] = {
    "S": "62.5,K,231,15,charging,standard,251,228,16,41,0,27,4,4,0,0,0,0,158.90,142,60,0,80,0,0,0,0,140,60,402,2,3.4,"
    "391.2,97.5,3.6,94.4,-8.7,38,2.9,812.6,63.4,0",
    "D": "84,8,5,31,28,19,812,481527,0,5400,14,2,1,1,12.9,0,12.6,16,27,0.8,17",
    "L": "48.208493,16.373118,92,171,1,1,0,812,0,-3.4,2140,310,-3.4,91.5",
    "Y": "4,fl,fr,rl,rr,4,251,249.5,262,260,1,4,18,19,17,17,1,4,100,100,98,99,1,4,0,0,0,0,1",
    "W": "36.2,19,37.7,17,36.4,18,38.0,17,1",
    "F": "3.3.005,WDC00000000000001,23,1,VWEG,Hologram,12000,8640000,OVMS v3.1,LTE",
}

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
