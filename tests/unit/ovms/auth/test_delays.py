"""Slowing down who guesses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.auth.delays import FORGOTTEN_AFTER, FREE, LONGEST, LoginDelays, network

NOW = 1000.0


def failed(times: int, *, capacity: int = 100) -> LoginDelays:
    delays = LoginDelays(capacity)
    for _ in range(times):
        delays.failed("DEMO", "192.0.2.7", NOW)
    return delays


def test_who_mistypes_is_not_slowed_down() -> None:
    assert failed(FREE - 1).wait("DEMO", "192.0.2.7", NOW) == 0


def test_who_goes_on_waits_twice_as_long_each_time_up_to_a_bound() -> None:
    waits = [failed(FREE + more).wait("DEMO", "192.0.2.7", NOW) for more in range(8)]
    assert waits == [1, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]


def test_neighbours_wait_with_him_others_do_not() -> None:
    delays = failed(FREE)
    assert delays.wait("DEMO", "192.0.2.200", NOW) > 0
    assert delays.wait("DEMO", "192.0.3.7", NOW) == 0
    assert delays.wait("OTHER", "192.0.2.7", NOW) == 0


def test_it_is_forgotten_after_a_success_or_a_while() -> None:
    delays = failed(FREE)
    assert delays.wait("DEMO", "192.0.2.7", NOW + FORGOTTEN_AFTER) == 0
    delays.failed("DEMO", "192.0.2.7", NOW + FORGOTTEN_AFTER)
    assert delays.wait("DEMO", "192.0.2.7", NOW + FORGOTTEN_AFTER) == 0
    delays = failed(FREE)
    delays.succeeded("DEMO", "192.0.2.7")
    assert delays.wait("DEMO", "192.0.2.7", NOW) == 0


def test_a_flood_of_names_takes_no_more_memory_and_forgets_the_oldest() -> None:
    delays = failed(FREE, capacity=10)
    for number in range(9):
        delays.failed(f"V{number}", "192.0.2.7", NOW)
    assert delays.wait("DEMO", "192.0.2.7", NOW) > 0
    delays.failed("ONEMORE", "192.0.2.7", NOW)
    assert delays.wait("DEMO", "192.0.2.7", NOW) == 0


@pytest.mark.parametrize(
    ("address", "net"),
    [("192.0.2.7", "192.0.2.0/24"), ("2001:db8::1", "2001:db8::/64"), ("", ""), ("somewhere", "somewhere")],
)
def test_networks(address: str, net: str) -> None:
    assert network(address) == net


def test_who_may_guess_oftener() -> None:
    delays = LoginDelays(free=FREE + 2)
    for _ in range(FREE + 1):
        delays.failed("DEMO", "192.0.2.7", NOW)
    assert delays.wait("DEMO", "192.0.2.7", NOW) == 0
    delays.failed("DEMO", "192.0.2.7", NOW)
    assert delays.wait("DEMO", "192.0.2.7", NOW) == 1


def test_where_nobody_is_kept_waiting_the_wait_counts_from_the_failure() -> None:
    delays = failed(FREE + 2)
    assert [delays.left("DEMO", "192.0.2.7", NOW + later) for later in (0, 1, 3.5, 4, 9)] == [4, 3, 0.5, 0, 0]
    assert delays.left("OTHER", "192.0.2.7", NOW) == 0


def test_what_was_no_failure_is_taken_back() -> None:
    delays = failed(FREE)
    delays.take_back("DEMO", "192.0.2.200")
    assert delays.wait("DEMO", "192.0.2.7", NOW) == 0
    delays = failed(1)
    for _ in range(2):
        delays.take_back("DEMO", "192.0.2.7")
    assert delays._failures == {}


@given(st.integers(0, 10_000))
def test_no_login_waits_longer_than_the_bound(times: int) -> None:
    delays = LoginDelays()
    delays._failures["DEMO", "192.0.2.0/24"] = (times, NOW)
    assert 0 <= delays.wait("DEMO", "192.0.2.7", NOW) <= LONGEST
