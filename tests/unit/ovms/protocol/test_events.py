"""What a session reports."""

from ovms.errors import BadWelcome
from ovms.protocol.events import Failed


def test_a_failure_holds_its_error() -> None:
    error = BadWelcome()
    assert Failed(error).error is error
    assert Failed(error) == Failed(error) != Failed(BadWelcome())
