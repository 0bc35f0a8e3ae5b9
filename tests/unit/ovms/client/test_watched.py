"""What is shown of a vehicle."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from ovms.client.shown import SHOWN, plain
from ovms.client.stream import Event
from ovms.client.watched import MOST_NOTES, Watched
from ovms.records import RECORDS

NOW = datetime(2026, 11, 22, 19, 12, 30, tzinfo=UTC)
TIME = "2026-11-22T19:12:23Z"
STATE = Event(
    "state", {"vehicle": "DEMO", "code": "S", "received_at": TIME, "values": {"soc": 62.5}, "units": {"soc": "%"}}, "1"
)
DOORS = Event("state", {"code": "D", "received_at": TIME, "values": {"doors_1": 0x81}, "units": {}}, "1")


@pytest.fixture
def watched() -> Watched:
    return Watched("DEMO", lambda: NOW)


def seen(watched: Watched) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(watched.render())
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def note(text: str) -> Event:
    return Event("notification", {"received_at": TIME, "type": "alert", "text": text}, None)


def test_values_have_their_titles_units_and_ages(watched: Watched) -> None:
    for event in (STATE, DOORS):
        watched.take(event)
    lines = [" ".join(line.split()) for line in seen(watched).splitlines()]
    assert lines == [
        "DEMO: car away, apps 0",
        "State of charge 62.5 % 7 s ago",
        "Door state 1 Front left door open, Car on (ignition) 7 s ago",
    ]


def test_what_is_newer_replaces_what_was(watched: Watched) -> None:
    watched.take(STATE)
    watched.take(Event("state", {**STATE.data, "values": {"soc": 63.0}}, "2"))
    watched.take(Event("presence", {"vehicle": "DEMO", "connected": True, "apps": 2, "batch_clients": 0}, None))
    assert "63.0 %" in seen(watched)
    assert "62.5" not in seen(watched)
    assert "DEMO: car connected, apps 2" in seen(watched)


def test_what_is_sealed_is_listed_until_it_can_be_read(watched: Watched) -> None:
    watched.take(STATE)
    watched.take(Event("state", {"vehicle": "DEMO", "code": "S", "sealed": True}, "2"))
    assert ("encrypted: S" in seen(watched), "62.5" in seen(watched)) == (True, False)
    watched.take(STATE)
    assert ("encrypted" in seen(watched), "62.5" in seen(watched)) == (False, True)


def test_the_newest_notes_are_shown_and_no_more(watched: Watched) -> None:
    for number in range(MOST_NOTES + 2):
        watched.take(note(f"note {number}."))
    watched.take(Event("command", {"created_at": TIME, "kind": "lock", "state": "succeeded"}, None))
    assert "note 2." not in seen(watched)
    assert "2026-11-22 19:12:23 alert: note 6." in seen(watched)
    assert "command lock: succeeded" in seen(watched)


def test_what_is_not_known_is_passed_over(watched: Watched) -> None:
    before = seen(watched)
    watched.take(Event("missed", {"since": TIME}, None))
    watched.take(Event("state", {**STATE.data, "code": "X"}, None))
    assert seen(watched) == before


@pytest.mark.parametrize("text", ["\x1b[2J", "a\x9bb", "\x07", "\u202e", "[bold]x[/bold]", "\r\n"])
def test_nothing_that_others_write_commands_the_terminal(watched: Watched, text: str) -> None:
    watched.take(note(text))
    shown = seen(watched)
    assert not {character for character in shown if not character.isprintable()} - {"\n"}
    assert plain(text).plain in shown


def test_what_is_shown_is_there() -> None:
    for code, names in SHOWN.items():
        declared: dict[str, Any] = {field.name: field for field in RECORDS[code].fields}
        assert set(names) <= set(declared)
