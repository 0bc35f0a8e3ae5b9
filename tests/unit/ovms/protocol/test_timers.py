"""How long a peer may be silent."""

from ovms.identity import Role
from ovms.protocol.timers import Timeouts


def test_the_defaults_are_those_of_the_reference() -> None:
    times = Timeouts()
    assert (times.welcome, times.car, times.app, times.batch) == (30, 960, 1200, 120)
    assert times.car - times.ping_margin == 900
    assert times.ping_again == 300


def test_a_login_is_held_for_longer_than_a_module_waits_for_its_answer() -> None:
    assert Timeouts().hold > 60


def test_each_role_has_its_own_silence() -> None:
    times = Timeouts(car=1, app=2, batch=3)
    assert [times.silence(role) for role in (Role.CAR, Role.APP, Role.BATCH)] == [1, 2, 3]
