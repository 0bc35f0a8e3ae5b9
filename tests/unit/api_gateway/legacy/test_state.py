"""The answers of the state calls, from messages."""

import pytest

from api_gateway.errors import ParanoidVehicle
from api_gateway.legacy.state import CALLS, render
from ovms.db.state import Message

CALL = {call.name: call for call in CALLS}
NOW = 1_795_374_743


def messages(*texts: str, paranoid: str = "") -> dict[str, Message]:
    return {text[0]: Message(text[0], text[1:].encode(), NOW - 4, text[0] in paranoid, "") for text in texts}


def test_nothing_received_is_an_empty_object() -> None:
    assert [render(call, {}, NOW) for call in CALLS] == [{}] * len(CALLS)


def test_times_and_ages_stand_beside_the_members() -> None:
    answer = render(CALL["location"], messages("L22.27,114.18"), NOW)
    assert answer["m_msgtime_l"] == "2026-11-22 19:12:19"
    assert answer["m_msgage_l"] == 4
    assert (answer["latitude"], answer["longitude"], answer["altitude"]) == ("22.27", "114.18", None)


def test_a_message_from_the_future_has_age_0() -> None:
    assert render(CALL["location"], messages("L1,2"), NOW - 100)["m_msgage_l"] == 0


def test_bytes_that_are_not_utf_8_do_not_fail() -> None:
    answer = render(CALL["location"], {"L": Message("L", b"\xff\x00,1", NOW, False, "")}, NOW)
    assert answer["latitude"] == "\ufffd\x00"


@pytest.mark.parametrize(("name", "paranoid"), [("status", "S"), ("charge", "S"), ("location", "L"), ("tpms", "Y")])
def test_a_needed_message_that_is_encrypted_is_refused(name: str, paranoid: str) -> None:
    with pytest.raises(ParanoidVehicle):
        render(CALL[name], messages("S1", "D1", "L1", "Y0", "W1", paranoid=paranoid), NOW)


def test_encrypted_doors_are_left_out() -> None:
    answer = render(CALL["status"], messages("S75", "D1", paranoid="D"), NOW)
    assert answer["soc"] == "75"
    assert not {"m_msgtime_d", "caron"} & answer.keys()


def test_an_encrypted_w_does_not_matter_where_there_is_y() -> None:
    assert "m_msgtime_y" in render(CALL["tpms"], messages("Y0", "W1", paranoid="W"), NOW)


def test_y_is_dated_as_w_too() -> None:
    both = render(CALL["tpms"], messages("Y1,FL,1,250,1,0,0,0,0,0,0", "W31,22"), NOW)
    assert {key for key in both if key.startswith("m_")} == {"m_msgtime_y", "m_msgage_y", "m_msgtime_w", "m_msgage_w"}
    assert both["fl_pressure_kpa"] == "250"
    only_w = render(CALL["tpms"], messages("W31,22"), NOW)
    assert (only_w["fr_pressure"], only_w["m_msgage_w"]) == ("31", 4)
    assert "m_msgtime_y" not in only_w
