"""Views of records: what they hold whatever a car sends, and when there is nothing to tell."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.errors import ParanoidVehicle
from api_gateway.v1.errors import NothingReceived
from api_gateway.v1.vehicle.subjects import CHARGE, DOORS, LOCATION, TyresAnswer, View, render_tyres, render_view
from ovms.db.state import Message

NOW = 1_795_374_750
VIEWS = (LOCATION, CHARGE, DOORS)
MODELS = {view.name: view.model() for view in VIEWS}
DATA = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60) | st.lists(
    st.sampled_from(["", "1", "-3", "12.5", "K", "M", "charging", "nan", "255", "4"]), max_size=30
).map(",".join)


def message(code: str, data: str, *, at: int = NOW - 4, paranoid: bool = False) -> Message:
    return Message(code, data.encode(), at, paranoid, "token" if paranoid else "")


def test_a_view_names_what_it_needs() -> None:
    assert [view.codes for view in VIEWS] == [("L",), ("S", "D"), ("D",)]


@pytest.mark.parametrize("view", VIEWS)
def test_what_was_never_sent_or_is_sealed_is_refused(view: View) -> None:
    others = [message(code, "1") for code in "FXW"]
    with pytest.raises(NothingReceived):
        render_view(view, others, NOW)
    with pytest.raises(ParanoidVehicle):
        render_view(view, [*others, message(view.codes[0], "x", paranoid=True)], NOW)


@pytest.mark.parametrize("view", VIEWS)
@given(st.fixed_dictionaries({"S": DATA, "D": DATA, "L": DATA}))
def test_a_view_has_all_its_members_and_fits_its_model(view: View, sent: dict[str, str]) -> None:
    found = render_view(view, [message(code, data) for code, data in sent.items()], NOW)
    values = orjson.loads(orjson.dumps(found["values"]))
    assert list(values) == [member.name for member in view.members]
    MODELS[view.name].model_validate(values)
    assert set(found["units"]) == {member.name for member in view.members if member.unit}
    assert found["age"] == 4


def test_a_charge_without_doors_has_nulls() -> None:
    values = render_view(CHARGE, [message("S", "62.5,M,231")], NOW)["values"]
    assert (values["soc"], values["line_voltage"], values["charging"], values["charge_port"]) == (62.5, 231, None, None)
    sealed = render_view(CHARGE, [message("S", "62.5"), message("D", "x", paranoid=True)], NOW)
    assert sealed["values"]["charging"] is None


def test_doors_are_bits_by_name() -> None:
    values = render_view(DOORS, [message("D", "5,72" + "," * 15 + ",1")], NOW)["values"]
    assert {name for name, value in values.items() if value} == {
        "front_left_door",
        "charge_port",
        "locked",
        "bonnet",
        "rear_left_door",
    }


@pytest.mark.parametrize(("letter", "unit"), [("K", "km/h"), ("M", "mph"), ("", "km/h or mph")])
def test_units_are_those_of_the_car(letter: str, unit: str) -> None:
    messages = [message("S", f"62.5,{letter}"), message("L", "47.1,8.5,90,408,1,1,50")]
    assert render_view(LOCATION, messages, NOW)["units"]["speed"] == unit


def test_tyres_of_any_number() -> None:
    found = render_tyres([message("W", "31"), message("Y", "2,front,rear,1,250,1,2,30,31,1,0,1,2,0,2,1")], NOW)
    assert found["units"]["pressure"] == "kPa"
    assert found["values"] == [
        {"wheel": "front", "pressure": 250, "temperature": 30, "health": None, "alert": 0},
        {"wheel": "rear", "pressure": None, "temperature": 31, "health": None, "alert": 2},
    ]


def test_four_tyres_of_older_modules() -> None:
    found = render_tyres([message("W", "31.2,22,32.1,23,30.9,24,31.7,25,1"), message("Y", "x", paranoid=True)], NOW)
    assert found["units"]["pressure"] == "psi"
    assert [(tyre["wheel"], tyre["pressure"], tyre["temperature"]) for tyre in found["values"]] == [
        ("fl", 30.9, 24),
        ("fr", 31.2, 22),
        ("rl", 31.7, 25),
        ("rr", 32.1, 23),
    ]


@given(DATA)
def test_tyres_fit_their_model_whatever_is_sent(data: str) -> None:
    TyresAnswer.model_validate_json(orjson.dumps(render_tyres([message("Y", data)], NOW)))


def test_no_tyres() -> None:
    with pytest.raises(NothingReceived):
        render_tyres([message("S", "1")], NOW)
    with pytest.raises(ParanoidVehicle):
        render_tyres([message("W", "x", paranoid=True)], NOW)
