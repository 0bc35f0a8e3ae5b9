"""Declaring, decoding and encoding, with a record of the test's own and with all eight."""

from dataclasses import FrozenInstanceError, astuple, replace
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.records import RECORDS, Record, decode, encode
from ovms.records.columns import Column, Counted
from ovms.records.record import record
from ovms.records.units import FIRST_DATE, LONGEST_TIME
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


UNKNOWN = {
    "S": {"charge_mode_number": "-1", "time_to_full": "-1", "time_to_limit": "65535", "charge_end": "128", "soc": "nan"},
    "F": {"service_range": "-1", "service_time": "-1", "signal": "99"},
    "X": {"time_to_empty": "65535", "end": "-1"},
    "L": {"hdop": "-1", "gps_quality": "nan"},
    "D": {"parking_time": "-1", "voltage_12v": "nan", "odometer": "-1"},
}


@pytest.mark.parametrize(("code", "name", "token"), [(code, *pair) for code in UNKNOWN for pair in UNKNOWN[code].items()])
def test_a_value_that_stands_for_unknown_is_none(code: str, name: str, token: str) -> None:
    record = RECORDS[code]
    before = [field.name for field in record.fields].index(name)
    assert getattr(decode(record, "," * before + token), name) is None


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_field_with_a_moment_or_an_estimated_time_is_bounded(record: type[Record]) -> None:
    for field in record.fields:
        if "since 1970" in field.column.title:
            assert field.column.least == FIRST_DATE, field.name
        if field.name.startswith("time_to_"):
            assert (field.column.least, field.column.most) == (0, LONGEST_TIME), field.name
