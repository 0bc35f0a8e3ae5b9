"""The file that `ovms provision` reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from ovms.admin.document import parse_document, read_document
from ovms.admin.errors import InputError


def owner(**changes: Any) -> dict[str, Any]:
    return {"name": "anna", "password": "geheim 1"} | changes


def car(**changes: Any) -> dict[str, Any]:
    return {"id": "EV1", "password": "NETPASS1"} | changes


def record(**changes: Any) -> dict[str, Any]:
    return {"key": "VIN1", "secret": "8944", "owner": "anna", "parameters": ["+44123", "-", "NETPASS1"]} | changes


def test_owners_and_vehicles_are_read() -> None:
    document = parse_document({"owners": [owner(email="a@example.com", vehicles=[car(), car(id="ev.2")]), owner(name="b")]})

    anna, b = document.owners
    assert (anna.name, anna.password, anna.email) == ("anna", "geheim 1", "a@example.com")
    assert [(v.vehicle_id, v.password, v.where) for v in anna.vehicles] == [
        ("EV1", "NETPASS1", "owners[0].vehicles[0]"),
        ("ev.2", "NETPASS1", "owners[0].vehicles[1]"),
    ]
    assert (b.email, b.vehicles) == ("", ())
    assert "geheim 1" not in repr(document)


def test_configurations_are_read() -> None:
    document = parse_document({"autoprovision": [record(), record(key="vin1")]})

    first, second = document.configurations
    assert (first.key, first.owner_name, first.secret, first.record) == ("VIN1", "anna", "8944", "+44123 - NETPASS1")
    assert (second.key, second.where) == ("vin1", "autoprovision[1]")
    assert "8944" not in repr(document)
    assert "NETPASS1" not in repr(document)
    assert parse_document({}).configurations == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "the document: not an object"),
        ({"owner": []}, "the document: 'owner' is not known here"),
        ({"owners": {}}, "the document: owners is not a list"),
        ({"owners": [1]}, "owners[0]: not an object"),
        ({"owners": [{"name": "anna"}]}, "owners[0]: password is missing"),
        ({"owners": [owner(), owner(name=7)]}, "owners[1]: name is not text"),
        ({"owners": [owner(password="")]}, "owners[0]: password of an owner: 1 to 256 characters of any kind"),
        ({"owners": [owner(password="x" * 257)]}, "owners[0]: password of an owner: 1 to 256 characters of any kind"),
        ({"owners": [owner(vehicles=[car(password="")])]}, "owners[0].vehicles[0]: password of a vehicle: 1 to 255"),
        ({"owners": [owner(password="a\0")]}, "owners[0]: password holds a NUL"),
        ({"owners": [owner(password="a\ud800")]}, "owners[0]: password holds a NUL or half a character"),
        ({"owners": [owner(email=None)]}, "owners[0]: email is not text"),
        ({"owners": [owner(vehicles={})]}, "owners[0]: vehicles is not a list"),
        ({"owners": [owner(vehicle=[])]}, "owners[0]: 'vehicle' is not known here"),
        ({"owners": [owner(vehicles=[car(), car(id="a b")])]}, "owners[0].vehicles[1]: vehicle id 'a b': 1 to 32"),
        ({"owners": [owner(vehicles=[car(), car(id="ev1")])]}, "owners[0].vehicles[1]: vehicle id 'ev1' is already that of"),
        ({"owners": [owner(), owner(name="ANNA")]}, "owners[1]: owner name 'ANNA' is already that of owners[0]"),
        ({"owners": [owner(name=" anna")]}, "owners[0]: owner name ' anna': 1 to 255 printable"),
        ({"autoprovision": [record(key="")]}, "autoprovision[0]: key '': 1 to 64 printable"),
        ({"autoprovision": [record(key="x" * 65)]}, f"autoprovision[0]: key '{'x' * 65}': 1 to 64 printable"),
        ({"autoprovision": [record(), record()]}, "autoprovision[1]: key 'VIN1' is already that of autoprovision[0]"),
        ({"autoprovision": [record(secret="")]}, "autoprovision[0]: secret is empty"),
        ({"autoprovision": [record(secret=8944)]}, "autoprovision[0]: secret is not text"),
        ({"autoprovision": [record(owner="")]}, "autoprovision[0]: owner name ''"),
        ({"autoprovision": [record(parameters="a b")]}, "autoprovision[0]: parameters is not a list"),
        ({"autoprovision": [record(parameters=["a", 1])]}, "autoprovision[0]: parameters[1] is not text"),
        ({"autoprovision": [record(parameters=["a", "b c"])]}, "autoprovision[0]: parameters[1]: empty, or with a blank"),
        ({"autoprovision": [record(parameters=[])]}, "autoprovision[0]: parameters: 1 to"),
        ({"autoprovision": [record(), {}]}, "autoprovision[1]: key is missing"),
    ],
)
def test_a_mistake_names_its_entry(value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_document(value)
    assert str(caught.value).startswith(message)
    assert "geheim 1" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "line 1 column 2: Expecting property name"),
        (b"\xff\xfe\xff", "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (json.dumps({"owners": [{}]}).encode(), "owners[0]: name is missing"),
    ],
)
def test_a_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "fixtures.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_document(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: No such file"):
        read_document(tmp_path / "none")


def test_a_password_that_a_module_has_already_may_be_short() -> None:
    (entry,) = parse_document({"owners": [owner(password="secret", vehicles=[car(password="DEMO")])]}).owners
    assert (entry.password, entry.vehicles[0].password) == ("secret", "DEMO")
