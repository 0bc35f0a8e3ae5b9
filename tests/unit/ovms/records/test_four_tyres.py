"""W as cars send it."""

from dataclasses import asdict

from ovms.records import FourTyres, Freshness, decode, encode
from unit.ovms.records.messages import FOUR_TYRES, SHORT_FOUR_TYRES


def test_whole_record() -> None:
    assert asdict(decode(FourTyres, FOUR_TYRES)) == {
        "front_right_pressure": 31.2,
        "front_right_temperature": 22.0,
        "rear_right_pressure": 32.1,
        "rear_right_temperature": 23.0,
        "front_left_pressure": 30.9,
        "front_left_temperature": 24.0,
        "rear_left_pressure": 31.7,
        "rear_left_temperature": 25.0,
        "freshness": Freshness.FRESH,
    }


def test_it_is_sent_as_it_came() -> None:
    assert encode(decode(FourTyres, FOUR_TYRES)) == FOUR_TYRES


def test_short_record() -> None:
    assert list(asdict(decode(FourTyres, SHORT_FOUR_TYRES)).values()) == [31.0, 22.0, *[None] * 7]
