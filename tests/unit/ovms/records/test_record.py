"""Declaring, decoding and encoding, with a record of the test's own and with all eight."""

from dataclasses import FrozenInstanceError, astuple, replace
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.records import RECORDS, Record, decode, encode
from ovms.records.columns import Column, Counted
from ovms.records.record import record
from unit.ovms.records.strategies import FEW, records, texts


@record("!")
class Sample(Record):
    """A record of this test."""

    name: Annotated[str | None, Column("Name")]
    values: Annotated[tuple[float | None, ...] | None, Counted("Values")]
    mode: Annotated[int | None, Column("Mode", base=16)]


def test_declaration() -> None:
    assert Sample.code == "!"
    assert [(field.name, field.kind, field.column.title) for field in Sample.fields] == [
        ("name", str, "Name"),
        ("values", float, "Values"),
        ("mode", int, "Mode"),
    ]


def test_values_are_frozen_and_slotted() -> None:
    sample = Sample("a", None, None)

    with pytest.raises(FrozenInstanceError):
        sample.name = "b"  # type: ignore[misc]
    assert not hasattr(sample, "__dict__")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a,2,1.5,,f", Sample("a", (1.5, None), 15)),
        ("a,0,f,extra,fields", Sample("a", (), 15)),
        ("a", Sample("a", None, None)),
        (",0,g", Sample(None, (), None)),
        ("", Sample(None, None, None)),
    ],
)
def test_decode(text: str, value: Sample) -> None:
    assert decode(Sample, text) == value


def test_every_field_is_sent() -> None:
    assert encode(Sample("a,b", (1.5, None), 15)) == "a;b,2,1.5,,f"
    assert encode(Sample(None, None, None)) == ",,"


def test_an_empty_record_is_the_start_of_a_new_one() -> None:
    assert encode(replace(decode(Sample, ""), mode=255)) == ",,ff"


@pytest.mark.parametrize("cls", RECORDS.values())
@FEW
@given(data=st.data())
def test_records_are_decoded_as_encoded(cls: type[Record], data: st.DataObject) -> None:
    value = data.draw(records(cls))

    assert decode(cls, encode(value)) == value


@pytest.mark.parametrize("cls", RECORDS.values())
@FEW
@given(text=texts)
def test_any_text_is_a_record(cls: type[Record], text: str) -> None:
    value = decode(cls, text)

    assert isinstance(value, cls)
    assert isinstance(decode(cls, encode(value)), cls)


@pytest.mark.parametrize("cls", RECORDS.values())
def test_nothing_is_known_from_an_empty_text(cls: type[Record]) -> None:
    assert set(astuple(decode(cls, ""))) <= {None, ()}
