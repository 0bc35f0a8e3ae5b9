"""V as cars send it."""

import pytest

from ovms.records import Capabilities, decode, encode
from unit.ovms.records.messages import CAPABILITIES


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        (CAPABILITIES, ("C1-6", "C10-12", "C15-24", "C40-41", "C49")),
        ("C7", ("C7",)),
        ("", ()),
    ],
)
def test_commands(text: str, commands: tuple[str, ...]) -> None:
    assert decode(Capabilities, text) == Capabilities(commands)
    assert encode(Capabilities(commands)) == text
