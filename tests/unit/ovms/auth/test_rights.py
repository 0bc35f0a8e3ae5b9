"""What a permit permits."""

import pytest

from ovms.auth.rights import grants_anything, permits


@pytest.mark.parametrize(
    ("permit", "right", "expected"),
    [
        ("*", "admin", True),
        ("auth", "admin", False),
        ("auth,admin", "admin", True),
        ("auth , ADMIN", "admin", True),
        ("token.admin", "token.admin", True),
        ("token", "token.admin", False),
        ("auth,*", "admin", False),
        ("", "admin", False),
    ],
)
def test_permits(permit: str, right: str, expected: bool) -> None:
    assert permits(permit, right) is expected


def test_one_of_several_rights_is_enough() -> None:
    assert permits("admin", "token.admin", "admin")


@pytest.mark.parametrize(("permit", "expected"), [("*", True), ("auth", True), ("none", False), (" None", False), ("", False)])
def test_grants_anything(permit: str, expected: bool) -> None:
    assert grants_anything(permit) is expected
