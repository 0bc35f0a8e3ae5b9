"""Unix time of the loop's time, while the system's clock is corrected and the loop's stands still."""

import pytest

from car_protocol.wall_clock import ADJUST_EVERY, ClockAdjustment
from fakes.clocks import FakeClocks

START = 1_700_000_000.0


@pytest.mark.parametrize(
    ("name", "monotonic", "system", "step"),
    [
        ("both clocks run", 30.0, 30.0, 0.0),
        ("the clock was an hour behind", 10.0, 3610.0, 3600.0),
        ("the clock was an hour ahead", 10.0, -3590.0, -3600.0),
        ("the machine was suspended for an hour", 0.5, 3600.5, 3600.0),
        ("the clock was set forward a little", 10.0, 10.25, 0.25),
        ("the clock was set back within the tolerance", 10.0, 8.5, 0.0),
        ("the clock was set back past the tolerance", 10.0, 7.5, -2.5),
    ],
)
def test_a_corrected_clock_is_adopted(name: str, monotonic: float, system: float, step: float) -> None:
    clocks = FakeClocks(100.0, START)
    clock = clocks.wall_clock()
    assert clock.now() == START
    clocks.monotonic, clocks.system = 100.0 + monotonic, START + system
    assert clock.adjust() == step, name
    assert clock.now() == START + monotonic + step
    assert clock.at(100.0) == START + step
    assert clock.adjust() == 0.0


def test_the_time_within_the_tolerance_is_at_most_that_far_from_the_system_s() -> None:
    clocks = FakeClocks(0.0, START)
    clock = clocks.wall_clock()
    for _ in range(10):
        clocks.monotonic += ADJUST_EVERY
        clocks.system += ADJUST_EVERY - 0.5
        clock.adjust()
        assert 0 <= clock.now() - clocks.system <= 2.0


def test_sessions_are_renumbered_only_where_the_clock_was_set_back() -> None:
    clocks, calls = FakeClocks(0.0, START), []
    adjustment = ClockAdjustment(clocks.wall_clock(), lambda: calls.append(clocks.system))
    for correction in (0.0, 3600.0, -1.0, -3600.0):
        clocks.system += correction
        adjustment.step()
    assert calls == [START - 1.0]


def test_a_clock_is_adopted_within_ten_seconds() -> None:
    assert ADJUST_EVERY < 10.0
