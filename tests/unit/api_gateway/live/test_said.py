"""What a messages channel carries."""

import pytest

from api_gateway.live.said import Key, Notification, Position, Said, State, read_said
from ovms.sync.versions import Version


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
        (b"", Position()),
    ],
)
def test_a_message_is_told_by_its_code(message: bytes, said: Said) -> None:
    assert read_said(b"1785747907123-57 " + message) == (Version(1785747907123, 57), said)


@pytest.mark.parametrize("body", [b"", b"S75,K", b"5 S75,K"])
def test_a_body_without_a_version_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError, match="version"):
        read_said(body)
