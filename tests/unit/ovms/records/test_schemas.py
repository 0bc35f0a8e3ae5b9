"""The typed JSON and its schema, as pydantic makes both from the declarations."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ovms.records import RECORDS, Environment, Record, decode
from ovms.records.columns import Flags
from unit.ovms.records.strategies import FEW, records

ADAPTERS: dict[type[Record], TypeAdapter[Any]] = {cls: TypeAdapter(cls) for cls in RECORDS.values()}
SCHEMAS = {cls: adapter.json_schema(mode="serialization") for cls, adapter in ADAPTERS.items()}
TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "array": list,
    "null": type(None),
    "object": dict,
}


def conforms(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a JSON value keeps to a schema, for the words that these schemas use."""
    if "$ref" in schema:
        return conforms(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(conforms(value, one, root) for one in schema["anyOf"])
    if schema["type"] == "boolean" or isinstance(value, bool):
        return schema["type"] == "boolean" and isinstance(value, bool)
    return (
        isinstance(value, TYPES[schema["type"]])
        and value in schema.get("enum", [value])
        and ("minimum" not in schema or schema["minimum"] <= value <= schema["maximum"])
        and all(conforms(item, schema["items"], root) for item in (value if isinstance(value, list) else []))
    )


@pytest.mark.parametrize("cls", RECORDS.values())
@FEW
@given(data=st.data())
def test_what_is_serialised_keeps_to_the_schema(cls: type[Record], data: st.DataObject) -> None:
    schema = SCHEMAS[cls]

    value = json.loads(ADAPTERS[cls].dump_json(data.draw(records(cls))))

    assert list(value) == list(schema["properties"]) == schema["required"]
    for name, member in schema["properties"].items():
        assert conforms(value[name], member, schema), name


@pytest.mark.parametrize("cls", RECORDS.values())
@FEW
@given(data=st.data())
def test_a_dictionary_of_the_values_is_the_record(cls: type[Record], data: st.DataObject) -> None:
    """FastAPI turns a dataclass into a dictionary before it checks and serialises an answer."""
    value = data.draw(records(cls))

    assert ADAPTERS[cls].validate_python(asdict(value)) == value


@pytest.mark.parametrize("cls", RECORDS.values())
def test_every_field_has_its_title_and_unit(cls: type[Record]) -> None:
    members = SCHEMAS[cls]["properties"]

    assert {name: member["description"] for name, member in members.items()} == {
        field.name: field.column.title for field in cls.fields
    }
    assert {name: member.get("x-unit") for name, member in members.items()} == {
        field.name: field.column.unit for field in cls.fields
    }


def test_door_states_are_bytes_with_named_bits() -> None:
    members = SCHEMAS[Environment]["properties"]
    doors = [field.name for field in Environment.fields if isinstance(field.column, Flags)]

    assert doors == ["doors_1", "doors_2", "doors_3", "doors_4", "doors_5"]
    assert members["doors_3"] == {
        "anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"type": "null"}],
        "description": "Door state 3",
        "x-bits": [
            {"mask": 1, "name": "awake", "title": "Car awake"},
            {"mask": 2, "name": "cooling_pump", "title": "Cooling pump on"},
            {"mask": 64, "name": "controller_login", "title": "Logged into the motor controller"},
            {"mask": 128, "name": "controller_configuration", "title": "Motor controller in configuration mode"},
        ],
    }


def test_typed_json_of_several_bits() -> None:
    assert b'"doors_1":213,"doors_2":255,' in ADAPTERS[Environment].dump_json(decode(Environment, "213,255"))
