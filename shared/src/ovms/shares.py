"""Bounds the part of all connections that one network can hold without logging in.

A car must not be closed before its login is answered, so a network at its share is not closed: its further attempts to connect
are left unanswered (`ovms.accepting`), and TCP repeats them.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias

from ovms.auth.delays import network

Peer: TypeAlias = tuple[str, int]
"""The address and port of a connection's other end."""

PART: Final = 4
"""A network may have one of so many parts of all connections."""
ROOM_AT: Final = 0.75
"""Of its share: the use below which a network may connect again."""


class NetworkShares:
    """Counts the connections of each network (/24 of IPv4, /64 of IPv6) that have not logged in.

    Args:
        connections: all that there may be.
        changed: called after `full` has changed.
    """

    def __init__(self, connections: int, changed: Callable[[], None] = lambda: None) -> None:
        self._most = max(1, connections // PART)
        self.changed = changed
        self.full: set[str] = set()
        """Networks that have their share."""
        self._counts: Counter[str] = Counter()
        self._networks: dict[Peer, str] = {}

    def enter(self, peer: Peer) -> None:
        """Count a new connection."""
        name = self._networks[peer] = network(peer[0])
        self._counts[name] += 1
        if self._counts[name] >= self._most and name not in self.full:
            self.full.add(name)
            self.changed()

    def leave(self, peer: Peer) -> None:
        """A connection has logged in or ended; one that is not counted changes nothing."""
        name = self._networks.pop(peer, None)
        if name is None:
            return
        self._counts[name] -= 1
        if name in self.full and self._counts[name] < self._most * ROOM_AT:
            self.full.discard(name)
            self.changed()
        if not self._counts[name]:
            del self._counts[name]
