"""Slows down who guesses passwords: a login waits the longer, the oftener its vehicle's logins from the same network failed.

Never an address alone, since cars share addresses (carrier-grade NAT), and never a vehicle alone, since anybody could then keep
a car out. The connection stays open meanwhile: newer firmware takes a close before `MP-S` for wrong credentials, wrongly here.
"""

import ipaddress
from functools import lru_cache
from typing import Final

FREE: Final = 3
"""Failures without a delay: an owner who mistypes."""
FIRST: Final = 1.0
LONGEST: Final = 30.0
"""Well under the 60 s after which a module gives up by itself."""
FORGOTTEN_AFTER: Final = 900.0
CAPACITY: Final = 10_000


class LoginDelays:
    """Failures by (name, network), the latest last."""

    def __init__(self, capacity: int = CAPACITY, *, free: int = FREE) -> None:
        self._capacity = capacity
        self._free = free
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}

    def wait(self, name: str, address: str, now: float) -> float:
        """Seconds that a login waits before it is looked at; 0 for almost everybody."""
        count, failed_at = self._failures.get((name, network(address)), (0, 0.0))
        if count < self._free or now >= failed_at + FORGOTTEN_AFTER:
            return 0.0
        return min(LONGEST, FIRST * (1 << min(count - self._free, 16)))

    def left(self, name: str, address: str, now: float) -> float:
        """Seconds until a login may come again, where nobody is kept waiting: the wait counts from the latest failure."""
        _, failed_at = self._failures.get((name, network(address)), (0, 0.0))
        return max(0.0, failed_at + self.wait(name, address, now) - now)

    def failed(self, name: str, address: str, now: float) -> None:
        """A login of a vehicle or user has failed."""
        key = (name, network(address))
        count, failed_at = self._failures.pop(key, (0, now))
        self._failures[key] = (1 if now >= failed_at + FORGOTTEN_AFTER else count + 1, now)
        if len(self._failures) > self._capacity:
            del self._failures[next(iter(self._failures))]

    def take_back(self, name: str, address: str) -> None:
        """What was counted as a failure was none: nobody could look at it."""
        key = (name, network(address))
        count, failed_at = self._failures.get(key, (0, 0.0))
        if count > 1:
            self._failures[key] = (count - 1, failed_at)
        else:
            self._failures.pop(key, None)

    def succeeded(self, name: str, address: str) -> None:
        """A login was right: nobody is guessing any more."""
        self._failures.pop((name, network(address)), None)


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """The network that an address is in, as far as one peer can choose among its addresses: /24 of IPv4, /64 of IPv6."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{address}/{24 if version == 4 else 64}", strict=False))
