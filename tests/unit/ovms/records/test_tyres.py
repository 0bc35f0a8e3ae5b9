"""Y as cars send it, whole and broken."""

from dataclasses import asdict, replace

import pytest

from ovms.records import AlertLevel, Freshness, Tyres, decode, encode
from unit.ovms.records.messages import TYRES

NOTHING = decode(Tyres, "")
# What a module without a vehicle sends.
NO_WHEELS = "0,0,-1,0,-1,0,-1,0,-1,0,-1"
# Firmware 3.3.006: one pressure is unknown, sensors are mapped.
MAPPED = "4,FL,FR,RL,RR,4,250.0,,240.0,241.0,1,0,-1,0,-1,4,0,0,0,2,0,4,0,1,3,2,1"


def test_whole_record() -> None:
    assert asdict(decode(Tyres, TYRES)) == {
        "wheels": ("fl", "fr", "rl", "rr"),
        "pressures": (250.0, 251.5, 240.0, 241.0),
        "pressures_freshness": Freshness.FRESH,
        "temperatures": (30.0, 31.0, 29.0, 28.0),
        "temperatures_freshness": Freshness.STALE,
        "healths": (),
        "healths_freshness": Freshness.NONE,
        "alerts": (AlertLevel.NONE, AlertLevel.WARNING, AlertLevel.ALERT, AlertLevel.NONE),
        "alerts_freshness": Freshness.FRESH,
        "sensors": None,
        "sensors_freshness": None,
    }


def test_unknown_values_and_mapped_sensors() -> None:
    assert asdict(decode(Tyres, MAPPED)) == {
        "wheels": ("FL", "FR", "RL", "RR"),
        "pressures": (250.0, None, 240.0, 241.0),
        "pressures_freshness": Freshness.FRESH,
        "temperatures": (),
        "temperatures_freshness": Freshness.NONE,
        "healths": (),
        "healths_freshness": Freshness.NONE,
        "alerts": (AlertLevel.NONE, AlertLevel.NONE, AlertLevel.NONE, AlertLevel.ALERT),
        "alerts_freshness": Freshness.STALE,
        "sensors": (0, 1, 3, 2),
        "sensors_freshness": Freshness.FRESH,
    }


@pytest.mark.parametrize("text", [NO_WHEELS, MAPPED.replace(".0", "")])
def test_it_is_sent_as_it_came(text: str) -> None:
    assert encode(decode(Tyres, text)) == text


@pytest.mark.parametrize(
    ("text", "tyres"),
    [
        ("4,fl,fr", replace(NOTHING, wheels=("fl", "fr", None, None))),
        ("1,fl,1", replace(NOTHING, wheels=("fl",), pressures=(None,))),
        ("1,fl,2,250", replace(NOTHING, wheels=("fl",), pressures=(250.0, None))),
        ("1,fl,x,250,1,0,-1", replace(NOTHING, wheels=("fl",))),
        ("1,fl,-1,250,1,0,-1", replace(NOTHING, wheels=("fl",))),
        ("999999999,fl", NOTHING),
        ("1,fl,,1", replace(NOTHING, wheels=("fl",), pressures_freshness=Freshness.FRESH)),
    ],
)
def test_broken_counts(text: str, tyres: Tyres) -> None:
    assert decode(Tyres, text) == tyres


def test_every_truncation_is_a_record() -> None:
    assert all(isinstance(decode(Tyres, MAPPED[:end]), Tyres) for end in range(len(MAPPED)))
