"""How long what is to be published waits for more."""

import pytest

from car_protocol.rooms.publisher import PAUSE_A_PUBLICATION, Pause

TICK = 0.02


def test_the_first_publication_goes_out_at_once() -> None:
    assert Pause(TICK).left(1000.0) == 0


@pytest.mark.parametrize(("count", "pause"), [(1, PAUSE_A_PUBLICATION), (10, 10 * PAUSE_A_PUBLICATION), (5000, TICK)])
def test_the_pause_grows_with_what_went_out_up_to_the_tick(count: int, pause: float) -> None:
    waits = Pause(TICK)
    waits.begin(1000.0, count)
    assert waits.left(1000.0) == pytest.approx(pause)


def test_what_comes_after_the_pause_goes_out_at_once() -> None:
    waits = Pause(TICK)
    waits.begin(1000.0, 5000)
    assert waits.left(1000.015) == pytest.approx(0.005)
    assert waits.left(1001.0) == 0


@pytest.mark.parametrize(("rate", "least", "most"), [(1000, 1, 1), (4000, 1, 2), (6000, 100, 120), (40_000, 790, 800)])
def test_a_steady_rate_ends_in_writes_of_one_or_two_or_in_full_ones(rate: int, least: int, most: int) -> None:
    waits, now, count = Pause(TICK), 1000.0, 10
    for _ in range(200):
        waits.begin(now, count)
        left = waits.left(now)
        now, count = now + left, max(1, round(left * rate))
    assert least <= count <= most
