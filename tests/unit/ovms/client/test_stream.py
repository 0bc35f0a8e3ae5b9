"""Reading Server-Sent Events."""

import pytest

from ovms.client.stream import Event, read_events


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("", []),
        (":\n\n: the server ends\n\n", []),
        ('event: presence\ndata: {"apps":1}\n\n', [Event("presence", {"apps": 1}, None)]),
        ("event: state\nid: 7\ndata: [1,\ndata: 2]\n\n", [Event("state", [1, 2], "7")]),
        ("id: 7\ndata: 1\n\ndata: 2\n\n", [Event("message", 1, "7"), Event("message", 2, "7")]),
        ("event:state\ndata:1\n\n", [Event("state", 1, None)]),
        ("event: state\n\ndata: 1\n\n", [Event("message", 1, None)]),
        ("data: 1\n\ndata: 2", [Event("message", 1, None)]),
    ],
)
def test_events_are_read(text: str, events: list[Event]) -> None:
    assert list(read_events(text.splitlines())) == events


def test_a_stream_that_is_taken_up_again_keeps_its_id() -> None:
    assert list(read_events(["data: 1", ""], "5")) == [Event("message", 1, "5")]
