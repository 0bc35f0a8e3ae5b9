"""How many connections of one address may be logging in."""

from car_protocol.logins.gate import Gate
from fakes.peers import car

HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_connections_up_to_the_limit_come_in_at_once() -> None:
    gate = Gate(2)
    assert [gate.enter(HERE, car()) for _ in range(3)] == [True, True, False]
    assert gate.inside == 2


def test_addresses_do_not_hinder_each_other() -> None:
    gate = Gate(1)
    assert gate.enter(HERE, car())
    assert gate.enter(THERE, car())


def test_who_waits_comes_in_as_others_leave_in_order() -> None:
    gate, first, second = Gate(1), car(), car()
    gate.enter(HERE, car())
    gate.enter(HERE, first)
    gate.enter(HERE, second)
    gate.leave(HERE)
    assert (first.take(), second.take()) == ([b"admitted"], [])
    gate.leave(HERE)
    assert second.take() == [b"admitted"]
    assert gate.inside == 1
    gate.leave(HERE)
    assert gate.inside == 0
    assert gate.enter(HERE, car())


def test_who_gives_up_is_never_admitted() -> None:
    gate, first, second = Gate(1), car(), car()
    gate.enter(HERE, car())
    gate.enter(HERE, first)
    gate.enter(HERE, second)
    gate.give_up(HERE, first)
    gate.give_up(HERE, first)
    gate.leave(HERE)
    assert (first.take(), second.take()) == ([], [b"admitted"])


def test_one_that_never_waited_may_give_up() -> None:
    Gate(1).give_up(HERE, car())


def test_nothing_is_kept_of_an_address_that_has_gone() -> None:
    gate, waiting = Gate(1), car()
    gate.enter(HERE, car())
    gate.enter(HERE, waiting)
    gate.give_up(HERE, waiting)
    gate.leave(HERE)
    assert (gate._inside, gate._waiting) == ({}, {})
