"""What a messages channel carries."""

import pytest

from api_gateway.live.said import Gap, Key, Notification, Said, State, read_said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"S75,K", State("S", b"75,K")),
        (b"\xff\x00", State("\xff", b"\x00")),
        (b"PAlow", Notification("A", "low")),
        (b"PIone\rtwo\r\nthree", Notification("I", "one\ntwo\nthree")),
        (b"P", Notification("", "")),
        (b"PI\xc3\xa4\xff", Notification("I", "ä\ufffd")),
        (b"ETtoken", Key("token")),
        (b"EMDsealed", State("D", b"sealed", is_sealed=True)),
        (b"EMc7sealed", None),
        (b"EM", None),
        (b"E", None),
        (b"EX", None),
        (b"c7,0,done", None),
        (b"", Gap()),
    ],
)
def test_a_message_is_told_by_its_code(message: bytes, said: Said) -> None:
    assert read_said(message) == said
