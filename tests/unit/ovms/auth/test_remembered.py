"""Credentials that were right a moment ago."""

from ovms.auth.remembered import Remembered
from ovms.bus.sessions import Login


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def login(owner_id: int) -> Login:
    return Login(owner_id, f"owner {owner_id}", "*", "proof")


def test_it_remembers_for_a_minute() -> None:
    clock = Clock()
    remembered = Remembered(clock)
    mark = remembered.mark("demo", "secret")
    assert remembered.find(mark) is None
    remembered.keep(mark, login(1))
    clock.now += 59.9
    assert remembered.find(mark) == login(1)
    clock.now += 0.1
    assert remembered.find(mark) is None


def test_it_knows_for_longer_what_was_right() -> None:
    clock = Clock()
    remembered = Remembered(clock, capacity=1)
    first, second = remembered.mark("demo", "secret"), remembered.mark("demo", "other")
    assert not remembered.was_right(first)
    remembered.keep(first, login(1))
    clock.now += 1e6
    assert remembered.find(first) is None
    assert remembered.was_right(first)
    remembered.keep(second, login(1))
    assert not remembered.was_right(first)


def test_credentials_do_not_run_into_each_other() -> None:
    remembered = Remembered(Clock())
    marks = [remembered.mark("ab", "c"), remembered.mark("a", "bc"), remembered.mark("abc"), remembered.mark("", "abc")]
    assert len(set(marks)) == 4


def test_two_processes_make_different_marks() -> None:
    assert Remembered(Clock()).mark("demo", "secret") != Remembered(Clock()).mark("demo", "secret")


def test_a_lone_surrogate_has_a_mark() -> None:
    assert len(Remembered(Clock()).mark("\udcff")) == 32


def test_it_is_bounded_and_the_oldest_goes() -> None:
    remembered = Remembered(Clock(), capacity=2)
    first, second, third = (remembered.mark(str(number)) for number in range(3))
    remembered.keep(first, login(1))
    remembered.keep(second, login(2))
    remembered.keep(first, login(1))
    remembered.keep(third, login(3))
    assert remembered.find(second) is None
    assert (remembered.find(first), remembered.find(third)) == (login(1), login(3))
