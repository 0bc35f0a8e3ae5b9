"""Timers of many connections."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.wheel import Wheel
from fakes.loops import FakeLoop


class Timer:
    """Notes when it is called; `following` says when it wants to be called next."""

    def __init__(self, following: Callable[[float], float | None] = lambda now: None) -> None:
        self.following = following
        self.called: list[float] = []

    def handle_timer(self, now: float) -> float | None:
        self.called.append(now)
        return self.following(now)


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop(1000.0)


@pytest.fixture
def wheel(loop: FakeLoop) -> Wheel:
    return Wheel(loop)


def test_a_timer_is_called_at_its_time_or_up_to_two_slots_later(loop: FakeLoop, wheel: Wheel) -> None:
    timer = Timer()
    wheel.add(timer, 1010.5)
    loop.advance(10.4)
    assert timer.called == []
    loop.advance(2)
    [called] = timer.called
    assert 1010.5 <= called <= 1012.5


def test_a_timer_is_called_once_unless_it_asks_for_more(loop: FakeLoop, wheel: Wheel) -> None:
    once, always = Timer(), Timer(lambda now: now + 10)
    wheel.add(once, 1001)
    wheel.add(always, 1001)
    loop.advance(60)
    assert len(once.called) == 1
    assert len(always.called) == 6


def test_a_timer_that_is_overdue_at_once_does_not_spin(loop: FakeLoop, wheel: Wheel) -> None:
    timer = Timer(lambda now: now)
    wheel.add(timer, 1000)
    loop.advance(10)
    assert 5 <= len(timer.called) <= 11


def test_the_earlier_of_two_times_counts(loop: FakeLoop, wheel: Wheel) -> None:
    timer = Timer()
    wheel.add(timer, 1050)
    wheel.add(timer, 1005)
    wheel.add(timer, 1020)
    loop.advance(100)
    [called] = timer.called
    assert 1005 <= called < 1008


def test_one_that_is_removed_is_not_called(loop: FakeLoop, wheel: Wheel) -> None:
    timer = Timer()
    wheel.add(timer, 1005)
    wheel.remove(timer)
    wheel.remove(timer)
    loop.advance(100)
    assert timer.called == []


def test_one_may_remove_another_of_its_slot(loop: FakeLoop, wheel: Wheel) -> None:
    timers: list[Timer] = []

    def remove_the_others(now: float) -> None:
        for timer in timers:
            wheel.remove(timer)

    timers += [Timer(remove_the_others), Timer(remove_the_others), Timer(remove_the_others)]
    for timer in timers:
        wheel.add(timer, 1005)
    loop.advance(100)
    assert sum(len(timer.called) for timer in timers) == 1


def test_nothing_is_called_while_there_is_no_timer(loop: FakeLoop, wheel: Wheel) -> None:
    assert loop.calls == []
    wheel.add(Timer(), 1002)
    loop.advance(10)
    assert loop.calls == []
    again = Timer()
    wheel.add(again, 1020)
    loop.advance(20)
    assert len(again.called) == 1


@given(times=st.lists(st.floats(1000, 1100), max_size=30))
def test_every_timer_is_called_in_time(times: list[float]) -> None:
    loop = FakeLoop(1000.0)
    wheel = Wheel(loop)
    timers = {index: Timer() for index in range(len(times))}
    for index, when in enumerate(times):
        wheel.add(timers[index], when)
    loop.advance(200)
    assert all(when <= timers[index].called[0] <= when + 2 for index, when in enumerate(times))


def test_one_that_raises_does_not_stop_the_others(loop: FakeLoop, wheel: Wheel) -> None:
    def crash(now: float) -> None:
        raise ZeroDivisionError

    other = Timer()
    wheel.add(Timer(crash), 1005)
    wheel.add(other, 1010)
    with pytest.raises(ZeroDivisionError):
        loop.advance(100)
    loop.advance(100)
    assert len(other.called) == 1
