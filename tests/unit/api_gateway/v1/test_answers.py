"""Entity tags: equal exactly where what was sent is, and compared as HTTP says."""

import pytest

from api_gateway.v1.answers import is_known, tag_of
from ovms.db.state import Message

KEPT = Message("S", b"62.5,K", 1_795_374_743, paranoid=False, paranoid_token="")


def test_the_same_messages_have_the_same_tag() -> None:
    assert tag_of([KEPT]) == tag_of([Message(*KEPT)])


@pytest.mark.parametrize(
    "other",
    [
        [],
        [KEPT, KEPT._replace(code="D")],
        [KEPT._replace(code="D")],
        [KEPT._replace(data=b"62.6,K")],
        [KEPT._replace(received_at=KEPT.received_at + 1)],
        [KEPT._replace(paranoid=True)],
        [KEPT._replace(paranoid_token="other")],
    ],
)
def test_whatever_differs_changes_the_tag(other: list[Message]) -> None:
    assert tag_of(other) != tag_of([KEPT])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("", False),
        ('"other"', False),
        ('W/"tag"', True),
        ('"tag"', True),
        ('"other" , W/"tag"', True),
        ("*", True),
        ('W/"tag', False),
    ],
)
def test_a_tag_is_compared_weakly(header: str | None, expected: bool) -> None:
    assert is_known(b'W/"tag"', header) is expected
