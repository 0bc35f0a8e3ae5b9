"""Slows down password guesses: after some failures a name is checked seldom, from the address and the network they came from.

Never by address alone, since cars share addresses (carrier-grade NAT), and never by name alone, since anybody could then keep a
car or an owner out. A source that was right lately has a limit of its own: it waits at most a second, whatever others try
(compare OWASP, "Slow Down Online Guessing Attacks with Device Cookies"; most clients here keep no cookies, so a device is an
address and what it calls itself).

Checks of one limit follow each other: each failure doubles the time until the next check, and many guesses that wait together
are checked one by one. So a wait bounds guesses, however many connections they come over.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

FREE: Final = 3
"""Failures without a delay: an owner who mistypes."""
FREE_OF_NETWORK: Final = 60
"""The same for all addresses and devices of a network. One device that guesses as fast as it may does not get there."""
FIRST: Final = 1.0
LONGEST: Final = 30.0
"""Well under the 60 s after which a module gives up by itself. One failure is forgiven in the same time."""
LONGEST_OF_KNOWN: Final = 1.0
"""For a source that was right lately."""
CAPACITY: Final = 20_000
GUESSED: Final = 100
"""Failures of a known source that are not those of a program with an old password."""
KNOWN_NAMES: Final = 20_000
KNOWN_SOURCES: Final = 8
"""For one name."""

_LEVELS: Final = 16


@dataclass(frozen=True, slots=True)
class Source:
    """Where a login comes from."""

    address: str
    device: str = ""
    """What distinguishes it from others of its address, such as the User-Agent of an HTTP client."""


@dataclass(slots=True)
class _Failures:
    count: int
    at: float
    """Of the latest."""

    def left_at(self, now: float) -> int:
        """Return how many are not forgiven yet."""
        return max(0, self.count - int((now - self.at) // LONGEST))


@dataclass(frozen=True, slots=True)
class _Limit:
    """A part of the sources of a name, and how it is slowed down."""

    key: tuple[str, str]
    free: int
    longest: float


_Level: TypeAlias = "OrderedDict[tuple[str, str], _Failures]"


class LoginDelays:
    """Failures by name and source. Bounded: the entries with the fewest failures are dropped first.

    To make it forget one name costs `capacity` names with as many failures each, and forgives only these failures.

    Args:
        capacity: entries to keep.
        free: failures of an address without a delay.
    """

    def __init__(self, capacity: int = CAPACITY, *, free: int = FREE) -> None:
        self._capacity = capacity
        self._free = free
        self._levels: list[_Level] = [OrderedDict() for _ in range(_LEVELS + 1)]
        """By the number of failures; the oldest first."""
        self._level_of: dict[tuple[str, str], int] = {}
        self._entries_of: dict[str, int] = {}
        """Entries by name, for a fast answer where there are none."""
        self._known: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        """Hashes of sources that were right lately, the latest last, by name: every car has one, so an entry is small."""

    def __len__(self) -> int:
        return len(self._level_of)

    def has_failures(self, name: str) -> bool:
        """Return whether any login of this name has failed lately."""
        return name in self._entries_of

    def is_known(self, name: str, source: Source) -> bool:
        """Return whether a login of this name was right from this source lately."""
        return hash(source) in self._known.get(name, ())

    def left(self, name: str, source: Source, now: float) -> float:
        """Return the seconds until a login may be checked; 0 for almost all."""
        if name not in self._entries_of:
            return 0.0
        return max(self._left(limit, now) for limit in self._limits(name, source))

    def failed(self, name: str, source: Source, now: float) -> None:
        """Count a login that is checked: it has failed, or its check starts now and may take a while."""
        for limit in self._limits(name, source):
            found = self._remove(limit.key)
            self._put(limit.key, _Failures(1 + (0 if found is None else found.left_at(now)), now))
        self._drop(now)

    def denied(self, name: str, source: Source) -> None:
        """Count a login of a known source that came too soon, so that `is_guessed` is true where many come."""
        key = _known_key(name, source)
        if (found := self._remove(key)) is not None:
            self._put(key, _Failures(min(found.count + 1, 2 * GUESSED), found.at))

    def is_guessed(self, name: str, source: Source, now: float) -> bool:
        """Return whether a known source sends so many wrong passwords that even right ones have to wait for their turn."""
        level = self._level_of.get(key := _known_key(name, source))
        return level is not None and self._levels[level][key].left_at(now) >= GUESSED

    def take_back(self, name: str, source: Source) -> None:
        """Count a login no longer: nothing could check it."""
        for limit in self._limits(name, source):
            if (found := self._remove(limit.key)) is not None and found.count > 1:
                self._put(limit.key, _Failures(found.count - 1, found.at))

    def succeeded(self, name: str, source: Source) -> None:
        """Forget the failures of a source whose login was right, and remember the source."""
        if name in self._entries_of:
            for limit in self._limits(name, source):
                self._remove(limit.key)
        latest = hash(source)
        sources = self._known.get(name, ())
        if sources != (latest,):
            self._known[name] = (*(one for one in sources if one != latest), latest)[-KNOWN_SOURCES:]
        self._known.move_to_end(name)
        if len(self._known) > KNOWN_NAMES:
            self._known.popitem(last=False)

    # ---- entries

    def _limits(self, name: str, source: Source) -> Iterator[_Limit]:
        if self.is_known(name, source):
            yield _Limit(_known_key(name, source), self._free, LONGEST_OF_KNOWN)
        else:
            yield _Limit((name, f"host {host(source.address)} {source.device}"), self._free, LONGEST)
            yield _Limit((name, f"site {site(source.address)}"), max(FREE_OF_NETWORK, self._free), LONGEST)

    def _left(self, limit: _Limit, now: float) -> float:
        if (level := self._level_of.get(limit.key)) is None:
            return 0.0
        failures = self._levels[level][limit.key]
        over = failures.left_at(now) - limit.free
        if over < 0:
            return 0.0
        return max(0.0, failures.at + min(limit.longest, FIRST * (1 << min(over, 16))) - now)

    def _drop(self, now: float) -> None:
        """Drop what is forgiven, and what is too much."""
        for level in self._levels:
            while level and next(iter(level.values())).left_at(now) == 0:
                self._remove(next(iter(level)))
        while len(self._level_of) > self._capacity:
            lowest = next(level for level in self._levels if level)
            self._remove(next(iter(lowest)))

    def _put(self, key: tuple[str, str], failures: _Failures) -> None:
        level = min(failures.count, _LEVELS)
        self._levels[level][key] = failures
        self._level_of[key] = level
        self._entries_of[key[0]] = self._entries_of.get(key[0], 0) + 1

    def _remove(self, key: tuple[str, str]) -> _Failures | None:
        if (level := self._level_of.pop(key, None)) is None:
            return None
        if (left := self._entries_of[key[0]] - 1) > 0:
            self._entries_of[key[0]] = left
        else:
            del self._entries_of[key[0]]
        return self._levels[level].pop(key)


def _known_key(name: str, source: Source) -> tuple[str, str]:
    return name, f"known {source.address} {source.device}"


@lru_cache(maxsize=4096)
def host(address: str) -> str:
    """Return what one host has of addresses: itself of IPv4, a /64 of IPv6."""
    return address if ":" not in address else _network(address, 64)


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Return the network that an address is in, as far as one peer can choose among its addresses: /24 of IPv4, /64 of IPv6."""
    return _network(address, 64 if ":" in address else 24)


@lru_cache(maxsize=4096)
def site(address: str) -> str:
    """Return what one customer of a provider has of addresses at most: /24 of IPv4, /56 of IPv6."""
    return _network(address, 56 if ":" in address else 24)


def _network(address: str, prefix: int) -> str:
    try:
        return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))
    except ValueError:
        return address
