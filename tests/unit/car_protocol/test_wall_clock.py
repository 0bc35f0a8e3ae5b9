"""Unix time of the loop's time, while the system's clock is corrected and the loop's stands still."""

import pytest

from car_protocol.wall_clock import ADJUST_EVERY
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
        ("the clock was set back a little", 10.0, 9.75, -0.25),
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


def test_a_clock_is_adopted_within_ten_seconds() -> None:
    assert ADJUST_EVERY < 10.0
