"""D as cars send it."""

from dataclasses import asdict

import pytest

from ovms.records import (
    Doors1,
    Doors2,
    Doors3,
    Doors4,
    Doors5,
    Environment,
    Freshness,
    LockState,
    decode,
    encode,
)
from ovms.records.columns import Bits
from unit.ovms.records.messages import ENVIRONMENT, SHORT_ENVIRONMENT


def test_whole_record() -> None:
    assert asdict(decode(Environment, ENVIRONMENT)) == {
        "doors_1": Doors1.FRONT_LEFT_DOOR | Doors1.CHARGE_PORT | Doors1.CHARGING | Doors1.HAND_BRAKE | Doors1.CAR_ON,
        "doors_2": Doors2.LOCKED | Doors2.VALET_MODE | Doors2.BONNET | Doors2.TRUNK,
        "lock_state": LockState.LOCKED,
        "pem_temperature": 45.0,
        "motor_temperature": 40.0,
        "battery_temperature": 22.0,
        "trip": 123.4,
        "odometer": 45678.9,
        "speed": 88.0,
        "parking_time": 3600,
        "ambient_temperature": 21.0,
        "doors_3": Doors3.COOLING_PUMP,
        "temperatures_freshness": Freshness.FRESH,
        "ambient_freshness": Freshness.FRESH,
        "voltage_12v": 12.8,
        "doors_4": Doors4.ALARM_BY_MANUAL,
        "reference_12v": 12.7,
        "doors_5": Doors5.CHARGING_12V,
        "charger_temperature": 33.0,
        "current_12v": 1.2,
        "cabin_temperature": 20.0,
    }


def test_it_is_sent_as_it_came() -> None:
    assert encode(decode(Environment, ENVIRONMENT)) == ENVIRONMENT


def test_short_record() -> None:
    known = {name: value for name, value in asdict(decode(Environment, SHORT_ENVIRONMENT)).items() if value is not None}

    assert known == {
        "doors_1": Doors1(0),
        "doors_2": Doors2.LOCKED,
        "lock_state": LockState.LOCKED,
        "pem_temperature": 10.0,
    }


@pytest.mark.parametrize(
    ("doors", "masks"),
    [
        (Doors1, [1, 2, 4, 8, 16, 64, 128]),
        (Doors2, [8, 16, 32, 64, 128]),
        (Doors3, [1, 2, 64, 128]),
        (Doors4, [2, 4]),
        (Doors5, [1, 2, 4, 16, 32, 128]),
    ],
)
def test_bits_are_where_the_firmware_puts_them(doors: type[Bits], masks: list[int]) -> None:
    assert [int(bit) for bit in doors] == masks


def test_bits_without_a_name_are_kept() -> None:
    assert encode(decode(Environment, "32,7")).startswith("32,7,")
