"""What one record contributes: D for the bits, Y for the wheels."""

import pytest
from hypothesis import given, settings

from ovms.records import Environment, Location
from ovms.records.parts import Tokens, ViewField, Wheels
from unit.ovms.records.messages import TYRES
from unit.ovms.records.strategies import texts

BITS = Tokens(Environment, "fl_dooropen carlocked odometer caron")


def test_members_are_chosen_by_name() -> None:
    assert BITS.code == "D"
    assert BITS.fields == (
        ViewField("fl_dooropen", "Front left door open", kind="bit"),
        ViewField("caron", "Car on (ignition)", kind="bit"),
        ViewField("carlocked", "Car locked", kind="bit"),
        ViewField("odometer", "Odometer", "1/10 km or mi"),
    )


def test_members_without_a_name_are_left_out() -> None:
    assert [field.name for field in Tokens(Location).fields] == [
        "latitude",
        "longitude",
        "direction",
        "altitude",
        "gpslock",
        "stalegps",
        "speed",
        "tripmeter",
        "drivemode",
        "power",
        "energyused",
        "energyrecd",
        "invpower",
        "invefficiency",
    ]


@pytest.mark.parametrize(
    ("token", "first", "last"),
    [
        ("129", 1, 128),
        ("0", 0, 0),
        ("", 0, 0),
        ("x", 0, 0),
        # Perl: the number that a text starts with; -1 has all bits set.
        ("129abc", 1, 128),
        (" 1.9", 1, 0),
        ("-1", 1, 128),
        ("+128", 0, 128),
        ("\u0661", 0, 0),
        ("9" * 5000, 1, 128),
    ],
)
def test_bits_are_masked_integers(token: str, first: int, last: int) -> None:
    answer = BITS.render(token)

    assert answer == {"fl_dooropen": first, "caron": last, "carlocked": 0, "odometer": None}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", {"latitude": None, "longitude": None, "direction": None}),
        ("1", {"latitude": "1", "longitude": None, "direction": None}),
        # As Perl does where it splits into a list of variables: empty fields at the end are not dropped.
        ("1,,", {"latitude": "1", "longitude": "", "direction": ""}),
        (",", {"latitude": "", "longitude": "", "direction": None}),
        ("1.50, x,nan,4,5", {"latitude": "1.50", "longitude": " x", "direction": "nan"}),
    ],
)
def test_tokens_are_given_as_they_came(text: str, answer: dict[str, str | None]) -> None:
    assert Tokens(Location, "latitude longitude direction").render(text) == answer


def test_wheels() -> None:
    assert Wheels().render(TYRES) == {
        "fl_pressure": pytest.approx(36.2594, abs=5e-5),
        "fl_pressure_kpa": "250",
        "fl_temperature": "30",
        "fl_alert": "0",
        "fr_pressure": pytest.approx(36.477, abs=5e-5),
        "fr_pressure_kpa": "251.5",
        "fr_temperature": "31",
        "fr_alert": "1",
        "rl_pressure": pytest.approx(34.8091, abs=5e-5),
        "rl_pressure_kpa": "240",
        "rl_temperature": "29",
        "rl_alert": "2",
        "rr_pressure": pytest.approx(34.9541, abs=5e-5),
        "rr_pressure_kpa": "241",
        "rr_temperature": "28",
        "rr_alert": "0",
        "stale_pressure": "1",
        "stale_temperature": "0",
        "stale_health": "-1",
        "stale_alert": "1",
        "staletpms": "1",
    }


STALE = {
    "stale_pressure": None,
    "stale_temperature": None,
    "stale_health": None,
    "stale_alert": None,
    "staletpms": None,
}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", STALE),
        ("x,fl,1,250,1", STALE),
        ("1,FL", STALE),
        ("2,FL,FR,3,,x,9", {"fl_pressure": None, "fl_pressure_kpa": None, "fr_pressure": None, "fr_pressure_kpa": "x"}),
        ("2,FL,FR,1,0,0", {"fl_pressure": 0.0, "fl_pressure_kpa": "0", "stale_pressure": "0", "staletpms": "0"}),
        ("1,FL,0,-1,1,20.5,,1,99", {"fl_temperature": "20.5", "fl_health": "99", "stale_pressure": "-1",
            "stale_temperature": "", "staletpms": "-1"}),
        ("1,FL,1,nan,x", {"fl_pressure": None, "fl_pressure_kpa": "nan", "stale_pressure": "x"}),
        ("0,0,-1,0,-1,0,2,0,10,0,-1", {"stale_pressure": "-1", "stale_temperature": "-1", "stale_health": "2",
            "stale_alert": "10", "staletpms": "10"}),
    ],
)  # fmt: skip
def test_broken_wheels(text: str, answer: dict[str, str | float | None]) -> None:
    assert Wheels().render(text) == {**STALE, **answer}


def test_members_of_wheels() -> None:
    assert [field.name for field in Wheels().fields] == list(STALE)
    assert [(field.name, field.unit, field.kind) for field in Wheels().wheel_fields] == [
        ("pressure_kpa", "kPa", "text"),
        ("temperature", "degC", "text"),
        ("health", "%", "text"),
        ("alert", None, "text"),
        ("pressure", "psi", "number"),
    ]


@settings(deadline=None)
@given(text=texts)
def test_no_text_is_an_error(text: str) -> None:
    assert set(BITS.render(text)) == {field.name for field in BITS.fields}
    assert set(STALE) <= set(Wheels().render(text))
