"""Messages of the removals channel."""

import pytest

from ovms.bus.removals import read_removed, removed


def test_a_message_names_its_vehicle() -> None:
    assert read_removed(removed(17)) == 17


@pytest.mark.parametrize(
    "body", [b"", b"removed", b"removed ", b"removed x", b"removed -1", b"17", b"removed 1 2", b"removed " + b"9" * 20]
)
def test_another_message_is_malformed(body: bytes) -> None:
    with pytest.raises(ValueError, match="no message of the removals channel"):
        read_removed(body)
