"""How fast sessions are closed at the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.drain import LONGEST_STEP, STEP, Pace


def closed(waiting: int, rate: float, seconds: float, steps: list[float]) -> list[tuple[float, int]]:
    """The times and sizes of the steps in which all of them are closed."""
    now, taken = 0.0, []
    pace = Pace(rate, now=now, ends_at=seconds)
    step = iter(steps)
    while waiting:
        count = pace.due(waiting, now)
        assert 0 <= count <= waiting
        taken.append((now, count))
        waiting -= count
        now += next(step, STEP)
    return taken


def test_a_few_are_closed_at_once() -> None:
    assert Pace(500.0, now=0.0, ends_at=42.0).due(25, 0.0) == 25


@pytest.mark.parametrize(
    ("waiting", "seconds", "ends_at"),
    [
        (1000, 42.0, 2.0),
        # What the defaults allow for: 20,000 connections in 70 % of a minute.
        (20_000, 42.0, 40.0),
        # Twice as fast as it should be, for there is half the time.
        (20_000, 20.0, 20.0),
    ],
)
def test_sessions_are_closed_at_the_rate_unless_there_is_less_time(waiting: int, seconds: float, ends_at: float) -> None:
    taken = closed(waiting, 500.0, seconds, [])
    assert taken[-1][0] == pytest.approx(ends_at, abs=2 * STEP)
    half = sum(count for now, count in taken if now <= ends_at / 2)
    assert half == pytest.approx(waiting / 2, rel=0.1)


def test_time_without_sessions_is_not_made_up_for() -> None:
    pace = Pace(100.0, now=0.0, ends_at=60.0)
    for second in range(10):
        assert pace.due(0, float(second)) == 0
    assert pace.due(1000, 9.05) == 5


def test_a_step_that_took_long_is_made_up_for_in_part() -> None:
    pace = Pace(100.0, now=0.0, ends_at=600.0)
    pace.due(10_000, 0.0)
    assert pace.due(9_995, 10.0) == int(100 * LONGEST_STEP)


@given(
    waiting=st.integers(1, 3000),
    rate=st.floats(1, 2000),
    seconds=st.floats(0, 30),
    steps=st.lists(st.floats(0.001, 3), max_size=50),
)
def test_all_are_closed_in_time_however_long_a_step_takes(
    waiting: int, rate: float, seconds: float, steps: list[float]
) -> None:
    taken = closed(waiting, rate, seconds, steps)
    assert taken[-1][0] <= seconds + max([STEP, *steps])
    assert sum(count for _, count in taken) == waiting


@given(waiting=st.integers(0, 3000), rate=st.floats(1, 2000), now=st.floats(0, 60))
def test_once_the_time_is_over_all_are_closed(waiting: int, rate: float, now: float) -> None:
    assert Pace(rate, now=0.0, ends_at=now).due(waiting, now) == waiting
