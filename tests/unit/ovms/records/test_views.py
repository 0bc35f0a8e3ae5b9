"""The legacy answers, as the conformance run holds them (carawake corrected: bit 0 of door state 3)."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.records.views import CHARGE, STATUS, TPMS, TPMS_W, TPMS_Y, View
from ovms.records.views import LOCATION as LOCATION_VIEW
from unit.ovms.records.messages import (
    ENVIRONMENT,
    FOUR_TYRES,
    LOCATION,
    SHORT_ENVIRONMENT,
    SHORT_FOUR_TYRES,
    SHORT_LOCATION,
    SHORT_STATE,
    STATE,
    TYRES,
)
from unit.ovms.records.strategies import texts

WHOLE = {"S": STATE, "D": ENVIRONMENT, "L": LOCATION, "W": FOUR_TYRES}
SHORT = {"S": SHORT_STATE, "D": SHORT_ENVIRONMENT, "L": SHORT_LOCATION, "W": SHORT_FOUR_TYRES}

WHOLE_STATUS = {
    "alarmsounding": 4,
    "bt_open": 64,
    "cac100": "160.25",
    "carawake": 0,
    "carlocked": 8,
    "caron": 128,
    "chargestate": "charging",
    "charging": 16,
    "charging_12v": 16,
    "cooldown_active": "0",
    "cp_dooropen": 4,
    "estimatedrange": "251",
    "fl_dooropen": 1,
    "fr_dooropen": 0,
    "handbrake": 64,
    "idealrange": "280",
    "idealrange_max": "310",
    "mode": "standard",
    "odometer": "456789",
    "parkingtimer": "3600",
    "pilotpresent": 0,
    "soc": "75.5",
    "soh": "98.5",
    "speed": "88",
    "staleambient": "1",
    "staletemps": "1",
    "temperature_ambient": "21",
    "temperature_battery": "22",
    "temperature_cabin": "20",
    "temperature_charger": "33",
    "temperature_motor": "40",
    "temperature_pem": "45",
    "tr_open": 128,
    "tripmeter": "1234",
    "units": "K",
    "valetmode": 16,
    "vehicle12v": "12.8",
    "vehicle12v_current": "1.2",
    "vehicle12v_ref": "12.7",
}
WHOLE_CHARGE = {
    "batt_capacity": "1203.4",
    "batt_current": "-9.1",
    "batt_range_speed": "22",
    "battvoltage": "398.5",
    "cac100": "160.25",
    "carawake": 0,
    "caron": 128,
    "charge_estimate": "95",
    "charge_etr_full": "200",
    "charge_etr_limit": "120",
    "charge_etr_range": "0",
    "charge_etr_soc": "0",
    "charge_kwh_grid": "4.3",
    "charge_kwh_grid_total": "4.5",
    "charge_limit_range": "0",
    "charge_limit_soc": "0",
    "chargeb4": "0",
    "chargecurrent": "16",
    "chargeduration": "93",
    "chargekwh": "43",
    "chargelimit": "16",
    "chargepower": "3.6",
    "chargepowerinput": "3.7",
    "chargerefficiency": "97.2",
    "chargestarttime": "0",
    "chargestate": "charging",
    "chargesubstate": "4",
    "chargetimermode": "0",
    "chargetimerstale": "0",
    "chargetype": "2",
    "charging": 16,
    "charging_12v": 16,
    "cooldown_active": "0",
    "cooldown_tbattery": "0",
    "cooldown_timelimit": "0",
    "cp_dooropen": 4,
    "estimatedrange": "251",
    "idealrange": "280",
    "idealrange_max": "310",
    "linevoltage": "230",
    "mode": "standard",
    "pilotpresent": 0,
    "soc": "75.5",
    "soh": "98.5",
    "staleambient": "1",
    "staletemps": "1",
    "temperature_ambient": "21",
    "temperature_battery": "22",
    "temperature_cabin": "20",
    "temperature_charger": "33",
    "temperature_motor": "40",
    "temperature_pem": "45",
    "units": "K",
    "vehicle12v": "12.8",
    "vehicle12v_current": "1.2",
    "vehicle12v_ref": "12.7",
}
WHOLE_LOCATION = {
    "altitude": "34",
    "direction": "124",
    "drivemode": "1",
    "energyrecd": "320",
    "energyused": "1200",
    "gpslock": "1",
    "invefficiency": "93",
    "invpower": "7.5",
    "latitude": "22.274165",
    "longitude": "114.185715",
    "power": "-3.6",
    "speed": "88",
    "stalegps": "1",
    "tripmeter": "1234",
}
WHOLE_TPMS = {
    "fl_pressure": "30.9",
    "fl_temperature": "24",
    "fr_pressure": "31.2",
    "fr_temperature": "22",
    "rl_pressure": "31.7",
    "rl_temperature": "25",
    "rr_pressure": "32.1",
    "rr_temperature": "23",
    "staletpms": "1",
}
SHORT_STATUS = {
    "alarmsounding": 0,
    "bt_open": 0,
    "cac100": None,
    "carawake": 0,
    "carlocked": 8,
    "caron": 0,
    "chargestate": "stopped",
    "charging": 0,
    "charging_12v": 0,
    "cooldown_active": None,
    "cp_dooropen": 0,
    "estimatedrange": None,
    "fl_dooropen": 0,
    "fr_dooropen": 0,
    "handbrake": 0,
    "idealrange": None,
    "idealrange_max": None,
    "mode": None,
    "odometer": None,
    "parkingtimer": None,
    "pilotpresent": 0,
    "soc": "75",
    "soh": None,
    "speed": None,
    "staleambient": None,
    "staletemps": None,
    "temperature_ambient": None,
    "temperature_battery": None,
    "temperature_cabin": None,
    "temperature_charger": None,
    "temperature_motor": None,
    "temperature_pem": "10",
    "tr_open": 0,
    "tripmeter": None,
    "units": "K",
    "valetmode": 0,
    "vehicle12v": None,
    "vehicle12v_current": None,
    "vehicle12v_ref": None,
}
SHORT_CHARGE = {
    "batt_capacity": None,
    "batt_current": None,
    "batt_range_speed": None,
    "battvoltage": None,
    "cac100": None,
    "carawake": 0,
    "caron": 0,
    "charge_estimate": None,
    "charge_etr_full": None,
    "charge_etr_limit": None,
    "charge_etr_range": None,
    "charge_etr_soc": None,
    "charge_kwh_grid": None,
    "charge_kwh_grid_total": None,
    "charge_limit_range": None,
    "charge_limit_soc": None,
    "chargeb4": None,
    "chargecurrent": "0",
    "chargeduration": None,
    "chargekwh": None,
    "chargelimit": None,
    "chargepower": None,
    "chargepowerinput": None,
    "chargerefficiency": None,
    "chargestarttime": None,
    "chargestate": "stopped",
    "chargesubstate": None,
    "chargetimermode": None,
    "chargetimerstale": None,
    "chargetype": None,
    "charging": 0,
    "charging_12v": 0,
    "cooldown_active": None,
    "cooldown_tbattery": None,
    "cooldown_timelimit": None,
    "cp_dooropen": 0,
    "estimatedrange": None,
    "idealrange": None,
    "idealrange_max": None,
    "linevoltage": "",
    "mode": None,
    "pilotpresent": 0,
    "soc": "75",
    "soh": None,
    "staleambient": None,
    "staletemps": None,
    "temperature_ambient": None,
    "temperature_battery": None,
    "temperature_cabin": None,
    "temperature_charger": None,
    "temperature_motor": None,
    "temperature_pem": "10",
    "units": "K",
    "vehicle12v": None,
    "vehicle12v_current": None,
    "vehicle12v_ref": None,
}
SHORT_LOCATION_ANSWER = {
    "altitude": None,
    "direction": None,
    "drivemode": None,
    "energyrecd": None,
    "energyused": None,
    "gpslock": None,
    "invefficiency": None,
    "invpower": None,
    "latitude": "22.27",
    "longitude": "114.18",
    "power": None,
    "speed": None,
    "stalegps": None,
    "tripmeter": None,
}
SHORT_TPMS = {
    "fl_pressure": None,
    "fl_temperature": None,
    "fr_pressure": "31",
    "fr_temperature": "22",
    "rl_pressure": None,
    "rl_temperature": None,
    "rr_pressure": None,
    "rr_temperature": None,
    "staletpms": None,
}


@pytest.mark.parametrize(
    ("view", "texts", "answer"),
    [
        (STATUS, WHOLE, WHOLE_STATUS),
        (CHARGE, WHOLE, WHOLE_CHARGE),
        (LOCATION_VIEW, WHOLE, WHOLE_LOCATION),
        (TPMS, WHOLE, WHOLE_TPMS),
        (TPMS_W, WHOLE, WHOLE_TPMS),
        (STATUS, SHORT, SHORT_STATUS),
        (CHARGE, SHORT, SHORT_CHARGE),
        (LOCATION_VIEW, SHORT, SHORT_LOCATION_ANSWER),
        (TPMS, SHORT, SHORT_TPMS),
    ],
)
def test_answers(view: View, texts: Mapping[str, str], answer: dict[str, Any]) -> None:
    assert view.render(texts) == answer


@pytest.mark.parametrize("view", [STATUS, CHARGE, LOCATION_VIEW, TPMS_W])
def test_members_are_those_of_the_answer(view: View) -> None:
    answer = view.render(WHOLE)

    assert sorted(field.name for field in view.fields) == sorted(answer)
    assert {field.name: field.kind for field in view.fields} == {
        name: "bit" if isinstance(value, int) else "text" for name, value in answer.items()
    }
    assert view.wheel_fields == ()


def test_only_records_that_are_there_contribute() -> None:
    assert set(STATUS.render({"S": STATE})) < set(WHOLE_STATUS)
    assert set(STATUS.render({"D": ENVIRONMENT})) | set(STATUS.render({"S": STATE})) == set(WHOLE_STATUS)
    assert STATUS.render({}) == {}


def test_a_record_without_a_text_is_there() -> None:
    assert set(LOCATION_VIEW.render({"L": ""}).values()) == {None}


def test_carawake_is_bit_0_and_alarmsounding_bit_2() -> None:
    answer = STATUS.render({"D": "," * 11 + "1,,,,2"})

    assert (answer["carawake"], answer["alarmsounding"]) == (1, 0)
    assert STATUS.render({"D": "," * 15 + "4"})["alarmsounding"] == 4


def test_wheels_of_y_win_over_w() -> None:
    assert TPMS.render({"W": FOUR_TYRES, "Y": TYRES}) == TPMS_Y.render({"Y": TYRES})
    assert TPMS.render({"W": FOUR_TYRES}) == TPMS_W.render({"W": FOUR_TYRES})
    assert TPMS.render({}) == {}


@pytest.mark.parametrize(
    ("view", "codes"),
    [
        (STATUS, ("S", "D")),
        (CHARGE, ("S", "D")),
        (LOCATION_VIEW, ("L",)),
        (TPMS, ("Y", "W")),
        (TPMS_W, ("W",)),
        (TPMS_Y, ("Y",)),
    ],
)
def test_codes(view: View, codes: tuple[str, ...]) -> None:
    assert view.codes == codes


@pytest.mark.parametrize("view", [STATUS, CHARGE, LOCATION_VIEW, TPMS])
@settings(deadline=None)
@given(messages=st.dictionaries(st.sampled_from("SDLWY"), texts))
def test_no_text_is_an_error(view: View, messages: dict[str, str]) -> None:
    answer = view.render(messages)

    assert bool(answer) is any(code in messages for code in view.codes)
