"""The part of all connections that one network may have without logging in."""

from ovms.shares import NetworkShares

HERE, THERE = "192.0.2.", "198.51.100."


class Shares:
    """Shares of twelve connections: three each; and how often they have changed."""

    def __init__(self) -> None:
        self.changes = 0
        self.shares = NetworkShares(12, self._changed)

    def _changed(self) -> None:
        self.changes += 1


def test_a_network_is_full_at_a_quarter_of_all_whatever_the_addresses() -> None:
    scene = Shares()
    for number in range(2):
        scene.shares.enter((f"{HERE}{number}", 1))
    assert (scene.shares.full, scene.changes) == (set(), 0)
    scene.shares.enter((f"{HERE}200", 1))
    scene.shares.enter((f"{THERE}1", 1))
    assert (scene.shares.full, scene.changes) == ({"192.0.2.0/24"}, 1)


def test_ipv6_counts_by_64() -> None:
    scene = Shares()
    for number in range(3):
        scene.shares.enter((f"2001:db8::{number}", 1))
    assert scene.shares.full == {"2001:db8::/64"}


def test_it_has_room_again_when_some_have_logged_in_or_gone() -> None:
    scene = Shares()
    for number in range(3):
        scene.shares.enter((f"{HERE}1", number))
    scene.shares.leave((f"{HERE}1", 0))
    assert (scene.shares.full, scene.changes) == (set(), 2)
    scene.shares.leave((f"{HERE}1", 0))
    scene.shares.leave((f"{THERE}1", 0))
    scene.shares.enter((f"{HERE}1", 0))
    assert scene.shares.full


def test_nothing_is_kept_of_who_has_gone() -> None:
    scene = Shares()
    for number in range(100):
        scene.shares.enter((f"192.0.{number}.1", 1))
    for number in range(100):
        scene.shares.leave((f"192.0.{number}.1", 1))
    assert not scene.shares._counts
    assert not scene.shares._networks


def test_of_very_few_connections_a_network_has_one() -> None:
    shares = NetworkShares(2)
    shares.enter((f"{HERE}1", 1))
    assert shares.full
    shares.leave((f"{HERE}1", 1))
    assert not shares.full
