"""What a permit permits."""

import pytest

from api_gateway.legacy.control import CALLS
from api_gateway.mqapi.routes import RIGHTS as MQTT_RIGHTS
from car_protocol.logins.users import RIGHT as LOGIN_RIGHT
from ovms.auth.rights import (
    ADMIN,
    CONTROL,
    HISTORY,
    LOCATION,
    READ,
    READING,
    RIGHTS,
    SCOPES,
    allows,
    check_permit,
    grants_anything,
    permits,
)
from ovms.errors import IdentityError


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


def allowed(permit: str) -> set[str]:
    return {scope for scope in SCOPES if allows(permit, scope)}


@pytest.mark.parametrize("scope", sorted(set(SCOPES) - {ADMIN}))
def test_a_scope_allows_itself_alone(scope: str) -> None:
    assert allowed(scope) == {scope}
    assert allowed(f" {scope.upper()} ,session") == {scope}


def test_scopes_add_up() -> None:
    assert allowed("read,control") == {READ, CONTROL}


@pytest.mark.parametrize("permit", ["*", "admin", "read,Admin"])
def test_everything(permit: str) -> None:
    assert allowed(permit) == set(SCOPES)


@pytest.mark.parametrize("permit", ["auth", "session", "v2,mqtt", "token.admin", "auth,*", "what the reference never heard of"])
def test_an_older_permit_reads_and_does_nothing_more(permit: str) -> None:
    assert allowed(permit) == set(READING)


def test_an_older_permit_with_a_scope_keeps_reading() -> None:
    assert allowed("auth,control") == {READ, LOCATION, HISTORY, CONTROL}
    assert allowed("session,control") == {CONTROL}


@pytest.mark.parametrize("permit", ["", "none", " None"])
def test_nothing(permit: str) -> None:
    assert allowed(permit) == set()


@pytest.mark.parametrize("permit", ["*", "read", "read,control", "Auth, V2", "token.admin"])
def test_a_permit_of_known_rights_is_accepted(permit: str) -> None:
    assert check_permit(permit) == permit


@pytest.mark.parametrize("permit", ["fly", "read,fly", "*,read", "", ","])
def test_a_permit_with_an_unknown_right_is_rejected(permit: str) -> None:
    with pytest.raises(IdentityError, match="no right is called"):
        check_permit(permit)


def test_every_right_that_a_call_asks_for_is_known() -> None:
    asked = {LOGIN_RIGHT, *MQTT_RIGHTS}.union(*(call.rights for call in CALLS))
    assert asked <= set(RIGHTS)
