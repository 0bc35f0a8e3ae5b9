"""What a push subscription may be, and what is shown of it."""

import pytest

from ovms.subscriptions import LONGEST_KEY, has_form, redact


@pytest.mark.parametrize(
    ("push_type", "key", "is_one"),
    [
        ("mail", "demo@example.org", True),
        ("mail", "-", False),
        ("mail", "a@b@c", False),
        ("apns", "ab" * 32, True),
        ("apns", "{length=32", False),
        ("gcm", "to ken", False),
        ("gcm", "x" * LONGEST_KEY, True),
        ("gcm", "x" * (LONGEST_KEY + 1), False),
        ("webhook", "https://example.org/x", True),
        ("webhook", "https://user:secret@example.org/", False),
        ("pager", "x", False),
    ],
)
def test_forms(push_type: str, key: str, is_one: bool) -> None:
    assert has_form(push_type, key) is is_one


@pytest.mark.parametrize(
    ("push_type", "key", "shown"),
    [
        ("mail", "demo@example.org", "d…@example.org"),
        ("webhook", "https://example.org/secret?and=more", "https://example.org/…"),
        ("gcm", "abcdefghijklmnopqrstuvwxyz", "…wxyz"),
        ("gcm", "short", "…"),
    ],
)
def test_what_is_shown_of_a_key(push_type: str, key: str, shown: str) -> None:
    assert redact(push_type, key) == shown
