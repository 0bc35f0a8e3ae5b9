"""The bodies on a messages channel: written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.bus.messages import message_body, read_message
from ovms.sync.versions import Version
from unit.ovms.bus.strategies import NUMBERS, SOME, is_read


@SOME
@given(st.builds(Version, NUMBERS, NUMBERS), st.binary(max_size=40))
def test_a_body_has_the_version_and_the_message(version: Version, message: bytes) -> None:
    assert read_message(message_body(version, message)) == (version, message)


def test_bodies_as_they_are_on_the_wire() -> None:
    assert message_body(Version(1785747907123, 57), b"S75.5,K 1\xff") == b"1785747907123-57 S75.5,K 1\xff"
    assert message_body(Version(1785747907123, 57), b"") == b"1785747907123-57 "


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"S75",
        b"1-2",
        b"12 S75",
        b"-2 S75",
        b"1- S75",
        b"1-2-3 S75",
        b"-1-2 S75",
        b"+1-2 S75",
        b"1_0-2 S75",
        b"1" * 5000 + b"-1 S",
    ],
    ids=lambda body: body[:12].decode(),
)
def test_a_body_without_a_version_is_rejected(body: bytes) -> None:
    assert not is_read(read_message, body)


@SOME
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_rejected(body: bytes) -> None:
    is_read(read_message, body)
