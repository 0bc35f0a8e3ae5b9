"""The declaration of what is published."""

import json

import pytest

from fixtures.bodies import kind_of
from ovms.bus.declaration import Body, Channel, Json
from ovms.bus.interface import CHANNELS, COMMANDS, GROUP, MESSAGES, PEERS, REPLICA

EXAMPLES = [(channel, body) for channel in CHANNELS for body in channel.bodies]


@pytest.mark.parametrize(("channel", "body"), EXAMPLES, ids=lambda part: part.name)
def test_an_example_is_of_its_kind_and_of_no_other(channel: Channel, body: Body) -> None:
    example = json.dumps(body.example) if isinstance(body, Json) else body.example
    assert kind_of(channel, example.encode("latin-1")) == body.name


@pytest.mark.parametrize(
    ("channel", "body"),
    [
        (MESSAGES, b"5-1 C7"),
        (MESSAGES, b"5-1 E"),
        (MESSAGES, b"5-1 EM"),
        (MESSAGES, b"5-1 EMHsealed"),
        (MESSAGES, b"S75"),
        (MESSAGES, b"5-1"),
        (MESSAGES, b"5- S75"),
        (MESSAGES, b""),
        (PEERS, b"5"),
        (PEERS, b'{"vehicle": "DEMO"}'),
        (COMMANDS, b'{"id": "a", "state": "sent"}'),
        (REPLICA, b"car 1 1 a b message"),
        (REPLICA, b"cars 1 1 a 1 message"),
        (REPLICA, b"peer 1"),
        (GROUP, b"ask  1"),
    ],
)
def test_what_nobody_publishes_is_of_no_kind(channel: Channel, body: bytes) -> None:
    with pytest.raises(ValueError, match="not enough values"):
        kind_of(channel, body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"S", "state"),
        (b"\xff\x00\r", "state"),
        (b"T5", "state"),
        (b"Fend", "state"),
        (b"P", "notification"),
        (b"c", "answer"),
        (b"", "position"),
    ],
)
def test_messages_are_any_bytes_and_told_apart_by_their_code(body: bytes, kind: str) -> None:
    assert kind_of(MESSAGES, b"5-1 " + body) == kind
