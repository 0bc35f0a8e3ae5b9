"""How events are written, and what an id means."""

import json

import pytest

from api_gateway.live.events import Event, as_frame, as_sse, missed, notification, presence, read_id
from api_gateway.live.newest import Newest
from ovms.bus.presence import Peers
from ovms.records import DistanceUnit

NOW = 1_795_374_743.25


def test_an_event_of_an_event_stream() -> None:
    assert as_sse(Event("state", b'{"a":1}'), NOW) == b'event: state\nid: 1795374743250\ndata: {"a":1}\n\n'
    assert as_sse(Event("state", b"{}"), None) == b"event: state\ndata: {}\n\n"


def test_a_text_frame() -> None:
    assert json.loads(as_frame(Event("state", b'{"a":1}'), NOW)) == {"event": "state", "id": "1795374743250", "data": {"a": 1}}
    assert json.loads(as_frame(Event("state", b"{}"), None)) == {"event": "state", "id": None, "data": {}}


def test_an_id_is_the_time_that_it_was_made_of() -> None:
    assert read_id("1795374743250", NOW) == NOW


@pytest.mark.parametrize("text", [None, "", "-1", "1e3", "x", "²", "9" * 400, "1795374743251"])
def test_what_is_no_id_or_of_a_later_time_is_none(text: str | None) -> None:
    assert read_id(text, NOW) is None


@pytest.mark.parametrize(("kind", "name"), [("A", "alert"), ("E", "error"), ("I", "info"), ("X", "X")])
def test_a_notification_names_its_type(kind: str, name: str) -> None:
    told = json.loads(notification("DEMO", kind, "line one\nline two", NOW).data)
    assert told == {"vehicle": "DEMO", "type": name, "text": "line one\nline two", "received_at": "2026-11-22T19:12:23Z"}


def test_a_text_of_several_lines_is_one_line_of_a_stream() -> None:
    assert as_sse(notification("DEMO", "A", "one\r\ntwo", NOW), None).count(b"\n") == 3


def test_who_is_connected() -> None:
    told = json.loads(presence("DEMO", Peers(car=1, apps=2, batch=3, http=1)).data)
    assert told == {"vehicle": "DEMO", "connected": True, "apps": 2, "batch_clients": 3}


def test_what_was_missed() -> None:
    assert json.loads(missed(NOW).data) == {"since": "2026-11-22T19:12:23Z"}


def test_a_state_has_its_values_with_their_units() -> None:
    state = Newest("DEMO", "S", b"75,K,230", NOW, DistanceUnit.KILOMETRES, is_sealed=False)
    told = json.loads(state.data)
    assert (told["vehicle"], told["code"], told["name"], told["sealed"]) == ("DEMO", "S", "state", False)
    assert told["received_at"] == "2026-11-22T19:12:23Z"
    assert (told["values"]["soc"], told["units"]["ideal_range"]) == (75.0, "km")
    assert json.loads(state.measured_in(DistanceUnit.MILES).data)["units"]["ideal_range"] == "mi"


def test_a_state_is_written_once_for_all() -> None:
    state = Newest("DEMO", "S", b"75", NOW, None, is_sealed=False)
    assert state.data is state.data


def test_of_a_sealed_state_only_its_code_is_told() -> None:
    told = json.loads(Newest("DEMO", "D", b"c2VhbGVk", NOW, None, is_sealed=True).data)
    assert told == {
        "vehicle": "DEMO",
        "code": "D",
        "name": "environment",
        "received_at": "2026-11-22T19:12:23Z",
        "sealed": True,
    }
