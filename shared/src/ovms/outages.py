"""What the log says while PostgreSQL or Redis is unavailable: each effect once an outage, and where the store is.

Every part of a service tries again by itself, many of them several times a second, and each says what is delayed by it.
"""

import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

POSTGRESQL: Final = "PostgreSQL"
REDIS: Final = "Redis"

STORE_UNAVAILABLE: Final = "store unavailable"
"""The event of a line with the fields `store`, `effect` and `reason`."""
STORE_AVAILABLE: Final = "store available again"

QUIET: Final = 60.0
"""Seconds without a message after which an outage is over, where nothing says so."""


def store_of(error: BaseException) -> str:
    """Which store an error of one is of."""
    return REDIS if isinstance(error, RedisError) else POSTGRESQL


def report_outage(log: Any, store: str, effect: str, error: BaseException) -> None:
    """Log what is delayed or lost while a store is unavailable."""
    log.warning(STORE_UNAVAILABLE, store=store, effect=effect, reason=type(error).__name__)


class Outages:
    """A processor of structlog that passes a message of an outage once, with the address of the store.

    Args:
        addresses: where the stores are, without credentials, by store.
        clock: a monotonic one.
    """

    def __init__(self, addresses: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._addresses = addresses
        self._clock = clock
        self._noted: dict[tuple[str, str, str], float] = {}
        """When each store, effect and reason came last."""

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass a line on, or drop it."""
        if line["event"] not in (STORE_UNAVAILABLE, STORE_AVAILABLE):
            return line
        store = line["store"]
        line["address"] = self._addresses.get(store, "")
        if line["event"] == STORE_AVAILABLE:
            self._noted = {noted: at for noted, at in self._noted.items() if noted[0] != store}
            return line
        noted, now = (store, line["effect"], line["reason"]), self._clock()
        former = self._noted.get(noted)
        self._noted[noted] = now
        if former is not None and now - former < QUIET:
            raise structlog.DropEvent
        return line
