"""Slowing down password guesses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.auth.delays import (
    FREE,
    FREE_OF_NETWORK,
    GUESSED,
    KNOWN_SOURCES,
    LONGEST,
    LONGEST_OF_KNOWN,
    LoginDelays,
    Source,
    host,
    network,
    site,
)

NOW = 1000.0
HERE = Source("192.0.2.7")


def failed(times: int, *, capacity: int = 1000, free: int = FREE) -> LoginDelays:
    delays = LoginDelays(capacity, free=free)
    for _ in range(times):
        delays.failed("DEMO", HERE, NOW)
    return delays


def guess_for(delays: LoginDelays, source: Source, seconds: float, began: float = NOW, name: str = "DEMO") -> int:
    """Guess as fast as the delays let; return how many guesses were checked."""
    now, guesses = began, 0
    while (now := now + delays.left(name, source, now)) <= began + seconds:
        delays.failed(name, source, now)
        guesses += 1
    return guesses


def test_a_few_failures_are_free() -> None:
    assert failed(FREE - 1).left("DEMO", HERE, NOW) == 0


def test_each_failure_doubles_the_wait_up_to_a_bound() -> None:
    waits = [failed(FREE + more).left("DEMO", HERE, NOW) for more in range(8)]
    assert waits == [1, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]
    assert failed(FREE + 2, free=FREE + 2).left("DEMO", HERE, NOW) == 1


def test_the_wait_counts_from_the_latest_failure() -> None:
    delays = failed(FREE + 2)
    assert [delays.left("DEMO", HERE, NOW + later) for later in (0, 1, 3.5, 4, 9)] == [4, 3, 0.5, 0, 0]


def test_other_names_and_networks_do_not_wait() -> None:
    delays = failed(FREE + 5)
    assert delays.left("OTHER", HERE, NOW) == 0
    assert delays.left("DEMO", Source("192.0.3.7"), NOW) == 0


def test_one_address_that_guesses_for_hours_does_not_slow_down_its_neighbours() -> None:
    delays = LoginDelays()
    guesses = guess_for(delays, HERE, 4 * 3600)
    assert FREE < guesses <= 4 * 3600 / LONGEST + FREE + 6
    assert delays.left("DEMO", Source("192.0.2.200"), NOW + 4 * 3600) == 0


def test_one_device_that_guesses_does_not_slow_down_others_of_its_address() -> None:
    delays = LoginDelays()
    guess_for(delays, Source("192.0.2.7", "guesser/1.0"), 4 * 3600)
    assert delays.left("DEMO", Source("192.0.2.7", "client/2.0"), NOW + 4 * 3600) == 0


def test_many_addresses_of_a_network_are_slowed_down_together() -> None:
    delays = LoginDelays()
    for number in range(FREE_OF_NETWORK):
        delays.failed("DEMO", Source(f"192.0.2.{number}"), NOW)
    assert delays.left("DEMO", Source("192.0.2.200"), NOW) > 0
    assert delays.left("DEMO", Source("192.0.3.7"), NOW) == 0
    for number in range(FREE_OF_NETWORK):
        delays.failed("DEMO", Source(f"2001:db8::{number:x}:0:0:0:1"), NOW)
    assert delays.left("DEMO", Source("2001:db8::ff:0:0:0:1"), NOW) > 0


def test_failures_are_forgiven_in_time_and_forgotten_after_a_success() -> None:
    delays = failed(FREE)
    delays.failed("DEMO", HERE, NOW + LONGEST * FREE)
    assert delays.left("DEMO", HERE, NOW + LONGEST * FREE) == 0
    delays = failed(FREE)
    delays.succeeded("DEMO", HERE)
    assert delays.left("DEMO", HERE, NOW) == 0
    assert not delays.has_failures("DEMO")


def test_a_source_that_was_right_waits_a_second_at_most_whatever_others_try() -> None:
    delays = LoginDelays()
    delays.succeeded("DEMO", HERE)
    for number in range(200):
        delays.failed("DEMO", Source(f"192.0.2.{number}", "guesser"), NOW)
    delays.failed("DEMO", Source("192.0.2.7", "another device"), NOW)
    assert delays.left("DEMO", HERE, NOW) == 0
    for _ in range(FREE + 10):
        delays.failed("DEMO", HERE, NOW)
    assert delays.left("DEMO", HERE, NOW) == LONGEST_OF_KNOWN


def test_a_known_source_that_sends_many_wrong_passwords_is_one_that_guesses() -> None:
    delays = LoginDelays()
    delays.succeeded("DEMO", HERE)
    delays.failed("DEMO", HERE, NOW)
    assert not delays.is_guessed("DEMO", HERE, NOW)
    for _ in range(10 * GUESSED):
        delays.denied("DEMO", HERE)
    assert delays.is_guessed("DEMO", HERE, NOW)
    assert not delays.is_guessed("DEMO", HERE, NOW + 2 * GUESSED * LONGEST)


def test_a_name_has_few_known_sources() -> None:
    delays = LoginDelays()
    for number in range(10 * KNOWN_SOURCES):
        delays.succeeded("DEMO", Source("192.0.2.7", f"device {number}"))
    assert sum(delays.is_known("DEMO", Source("192.0.2.7", f"device {number}")) for number in range(80)) == KNOWN_SOURCES


def test_what_was_no_failure_is_taken_back() -> None:
    delays = failed(FREE)
    delays.take_back("DEMO", HERE)
    assert delays.left("DEMO", HERE, NOW) == 0
    delays = failed(1)
    for _ in range(2):
        delays.take_back("DEMO", HERE)
    assert len(delays) == 0
    assert not delays.has_failures("DEMO")


# ---- bounds


def test_a_flood_of_other_names_takes_no_more_memory_and_forgets_no_wait() -> None:
    delays = failed(FREE + 5, capacity=100)
    before = delays.left("DEMO", HERE, NOW)
    for number in range(10_000):
        for _ in range(FREE):
            delays.failed(f"V{number}", Source("192.0.2.7"), NOW)
    assert len(delays) <= 100
    assert delays.left("DEMO", HERE, NOW) == before == LONGEST


def test_what_is_forgiven_is_dropped() -> None:
    delays = failed(FREE)
    delays.failed("OTHER", HERE, NOW + (FREE + 1) * LONGEST)
    assert not delays.has_failures("DEMO")
    assert delays.has_failures("OTHER")


@given(st.integers(0, 200), st.floats(0, 10_000))
def test_no_login_waits_longer_than_the_bound(times: int, later: float) -> None:
    assert 0 <= failed(times).left("DEMO", HERE, NOW + later) <= LONGEST


STEPS = st.tuples(st.sampled_from("fts"), st.sampled_from("AB"), st.sampled_from(["192.0.2.1", "192.0.2.2", "::1"]))


@given(st.lists(STEPS, max_size=80))
def test_entries_are_counted_by_name(steps: list[tuple[str, str, str]]) -> None:
    delays = LoginDelays(5)
    for number, (step, name, address) in enumerate(steps):
        match step:
            case "f":
                delays.failed(name, Source(address), NOW + number)
            case "t":
                delays.take_back(name, Source(address))
            case _:
                delays.succeeded(name, Source(address))
        assert len(delays) <= 5
        assert len(delays) == sum(delays._entries_of.values()) == sum(map(len, delays._levels))
        assert all(delays._entries_of.values())


@pytest.mark.parametrize(
    ("address", "of_host", "of_network", "of_site"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24", "192.0.2.0/24"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64", "2001:db8:0:1::/64", "2001:db8::/56"),
        ("", "", "", ""),
        ("somewhere", "somewhere", "somewhere", "somewhere"),
        ("no:where", "no:where", "no:where", "no:where"),
    ],
)
def test_networks(address: str, of_host: str, of_network: str, of_site: str) -> None:
    assert (host(address), network(address), site(address)) == (of_host, of_network, of_site)
