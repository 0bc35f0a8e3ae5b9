"""How commands are written, and what cars' answers mean."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.commands import kinds
from api_gateway.commands.kinds import Kind, choose_charge
from api_gateway.commands.replies import Reply, is_last, list_items, read_reply
from api_gateway.errors import InvalidArgument
from api_gateway.legacy.control import CALLS, ControlCall
from ovms.protocol.commands import MOST_TO_A_CAR
from simulator.commands import answer
from simulator.controls import Controls
from simulator.journey import Journey
from simulator.route import LAKE_ZURICH, Route


@pytest.mark.parametrize(
    ("kind", "fields", "written"),
    [
        (kinds.LOCK, {"pin": "1234"}, b"C20,1234"),
        (kinds.UNLOCK, {}, b"C22,"),
        (kinds.VALET, {"pin": "0"}, b"C21,0"),
        (kinds.NO_VALET, {"pin": "0"}, b"C23,0"),
        (kinds.LIST_FEATURES, {}, b"C1"),
        (kinds.SET_FEATURE, {"feature": "09", "value": "30"}, b"C2,9,30"),
        (kinds.SET_PARAMETER, {"parameter": "5", "value": "a,b"}, b"C4,5,a,b"),
        (kinds.SET_PARAMETER, {"parameter": "5", "value": ""}, b"C4,5,"),
        (kinds.HOME_LINK, {"button": "2"}, b"C24,2"),
        (kinds.CLIMATE_ON, {}, b"C26,1"),
        (kinds.CLIMATE_OFF, {}, b"C26,0"),
        (kinds.SMS, {"number": "+4112", "message": "Grüezi, du"}, "C40,+4112,Grüezi, du".encode()),
        (kinds.AT, {"command": "AT+CREG=1,2"}, b"C49,AT+CREG=1,2"),
        (kinds.SET_TIMER, {"timermode": "timer", "starttime": "06:30"}, b"C17,1,390"),
        (kinds.SET_TIMER, {"timermode": "0", "starttime": "1439"}, b"C17,0,1439"),
        (kinds.SET_MODE_AND_CURRENT, {"mode": "Range", "current": "16"}, b"C16,3,16"),
    ],
)
def test_a_command_as_the_car_reads_it(kind: Kind, fields: dict[str, str], written: bytes) -> None:
    assert kind.write(fields) == written


@pytest.mark.parametrize(
    ("kind", "fields", "wrong"),
    [
        (kinds.LOCK, {"pin": "12a4"}, "pin"),
        (kinds.LOCK, {"pin": "1,2"}, "pin"),
        (kinds.LOCK, {"pin": "1\n"}, "pin"),
        (kinds.LOCK, {"pin": "٣"}, "pin"),
        (kinds.HOME_LINK, {}, "button"),
        (kinds.HOME_LINK, {"button": "3"}, "button"),
        (kinds.SET_FEATURE, {"feature": "32", "value": "1"}, "feature"),
        (kinds.SET_FEATURE, {"feature": "1"}, "value"),
        (kinds.SET_PARAMETER, {"parameter": "1", "value": "a\r\nC20,1"}, "value"),
        (kinds.TEXT, {"command": ""}, "command"),
        (kinds.TEXT, {"command": "\0"}, "command"),
        (kinds.TEXT, {"command": "ü" * 380}, "command"),
        (kinds.SMS, {"number": "1,2", "message": "x"}, "number"),
        (kinds.SET_CURRENT, {"current": "0"}, "current"),
        (kinds.SET_MODE, {"mode": "2"}, "mode"),
        (kinds.SET_TIMER, {"timermode": "1", "starttime": "24:00"}, "starttime"),
        (kinds.SET_TIMER, {"timermode": "1", "starttime": "1440"}, "starttime"),
    ],
)
def test_what_is_impossible_is_named_and_not_repeated(kind: Kind, fields: dict[str, str], wrong: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        kind.write(fields)
    assert refused.value.detail.startswith(f"Invalid argument {wrong}: ")
    assert not any(value in refused.value.detail for value in fields.values() if len(value) > 2)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"action": "start"}, kinds.START_CHARGE),
        ({"action": "Stop"}, kinds.STOP_CHARGE),
        ({"mode": "range"}, kinds.SET_MODE),
        ({"current": "16"}, kinds.SET_CURRENT),
        ({"mode": "0", "current": "16"}, kinds.SET_MODE_AND_CURRENT),
        ({"timermode": "plugin", "starttime": "0"}, kinds.SET_TIMER),
    ],
)
def test_what_a_charge_call_means(fields: dict[str, str], kind: Kind) -> None:
    assert choose_charge(fields) is kind


@pytest.mark.parametrize("fields", [{}, {"action": "x"}, {"action": "start", "mode": "0"}, {"timermode": "1"}])
def test_a_charge_call_means_one_thing(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        choose_charge(fields)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.name}")
def test_the_demo_car_does_what_the_documentation_shows(call: ControlCall) -> None:
    fields = dict(parse_qsl(call.example))
    kind = call.choose(fields)
    said = answer(kind.write(fields)[1:].decode(), Controls(), Journey(Route(LAKE_ZURICH), 1, 0.0))
    assert {read_reply(message).result for message in said} == {0}


@given(
    fields=st.fixed_dictionaries({}, optional={name: st.text() for call in CALLS for name in [a.name for a in call.arguments]})
)
def test_whatever_is_given_a_command_is_one_line_that_a_module_can_read(fields: dict[str, str]) -> None:
    for call in CALLS:
        given = {name: value for name, value in fields.items() if name in [argument.name for argument in call.arguments]}
        try:
            message = call.choose(given).write(given)
        except InvalidArgument:
            continue
        assert len(message) <= MOST_TO_A_CAR
        assert not any(byte < 0x20 for byte in message)


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        (b"c20,0", Reply(0, "")),
        (b"c20,1,No, it is open", Reply(1, "No, it is open")),
        (b"c7,0,one\rtwo\r\nthree", Reply(0, "one\ntwo\nthree")),
        (b"c20", Reply(1, "")),
        (b"c20,x", Reply(1, "")),
    ],
)
def test_answers(message: bytes, reply: Reply) -> None:
    assert read_reply(message) == reply


def test_a_list_ends_with_its_last_item_or_with_a_refusal() -> None:
    assert not is_last(b"c1,0,0,16,0")
    for last in (b"c1,0,15,16,0", b"c1,2", b"c1,1,x", b"c1,0", b"EMcabc="):
        assert is_last(last)
    assert is_last(b"c7,0,0,16,0")


def test_items_that_the_car_leaves_out_are_not_available() -> None:
    assert list_items([b"c3,0,0,3,a,b", b"c3,0,2,3,"]) == [
        {"number": 0, "value": "a,b", "available": True},
        {"number": 1, "value": None, "available": False},
        {"number": 2, "value": "", "available": True},
    ]


@given(message=st.binary(max_size=60))
def test_every_answer_can_be_read(message: bytes) -> None:
    for said in (message, b"c1,0," + message):
        read_reply(said)
        is_last(said)
        assert len(list_items([said])) <= 1024
