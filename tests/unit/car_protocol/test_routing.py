"""Every role and every code has the action that the protocol's reference gives it."""

import pytest

from car_protocol.actions import groups, sealed
from car_protocol.actions.commands import answer, command
from car_protocol.actions.history import record, record_acknowledged
from car_protocol.actions.notification import notify, notify_as_watcher, subscribe
from car_protocol.actions.ping import answer_ping, ignore
from car_protocol.actions.relay import to_car
from car_protocol.actions.state import store_and_forward
from car_protocol.routing import ROUTES
from ovms.identity import Role

LISTED = {
    "A": (answer_ping, answer_ping, answer_ping),
    "a": (ignore, ignore, ignore),
    "P": (notify, notify_as_watcher, notify_as_watcher),
    "p": (ignore, subscribe, subscribe),
    "C": (ignore, command, command),
    "c": (answer, ignore, ignore),
    "H": (record, ignore, ignore),
    "h": (record_acknowledged, ignore, ignore),
    "g": (groups.update, ignore, ignore),
    "G": (ignore, groups.subscribe, groups.subscribe),
    "E": (sealed.from_car, sealed.from_app, sealed.from_app),
}
OTHERS = (store_and_forward, to_car, ignore)


@pytest.mark.parametrize("code", range(256))
def test_a_code_causes_what_the_reference_says(code: int) -> None:
    car, app, batch = LISTED.get(chr(code), OTHERS)
    assert ROUTES[Role.CAR][code] is car
    assert ROUTES[Role.APP][code] is app
    assert ROUTES[Role.BATCH][code] is batch


@pytest.mark.parametrize("state", "SDLWYFVXZQx\xff")
def test_any_code_that_is_not_listed_is_state(state: str) -> None:
    assert ROUTES[Role.CAR][ord(state)] is store_and_forward


def test_every_role_has_an_action_for_every_byte() -> None:
    assert set(ROUTES) == set(Role)
    for actions in ROUTES.values():
        assert len(actions) == 256
        assert all(map(callable, actions))
