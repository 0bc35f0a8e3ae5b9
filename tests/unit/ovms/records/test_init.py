"""The eight records by their codes."""

from ovms.records import (
    RECORDS,
    Capabilities,
    Environment,
    Firmware,
    FourTyres,
    Generator,
    Location,
    State,
    Tyres,
)


def test_codes() -> None:
    assert {
        "S": State,
        "D": Environment,
        "L": Location,
        "W": FourTyres,
        "Y": Tyres,
        "F": Firmware,
        "V": Capabilities,
        "X": Generator,
    } == RECORDS


def test_fields_stand_in_the_number_that_the_firmware_sends() -> None:
    assert {code: len(record.fields) for code, record in RECORDS.items()} == {
        "S": 42,
        "D": 21,
        "L": 19,
        "W": 9,
        "Y": 11,
        "F": 10,
        "V": 1,
        "X": 24,
    }
