"""How many calls a credential may make: a bucket that fills all the time, and each call takes one from.

The typed API tells with every answer how many are left (draft-ietf-httpapi-ratelimit-headers), the legacy API only when there
are none: its limit is far above what clients poll.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from api_gateway.edge.fields import Field
from api_gateway.errors import TooManyRequests
from api_gateway.refusals import is_typed

CAPACITY: Final = 10_000
MINUTE: Final = 60.0
LEVEL: Final = "ovms.level"
NAME: Final = '"credential"'


@dataclass(frozen=True, slots=True)
class Level:
    """What is left in a bucket."""

    quota: int
    window: float
    """Seconds in which an empty bucket fills."""
    left: float
    """Below 0: there was none to take."""

    @property
    def wait(self) -> float:
        """Seconds until there is one to take."""
        return max(0.0, -self.left) * self.window / self.quota

    @property
    def full_in(self) -> float:
        """Seconds until the bucket is full."""
        return (self.quota - max(0.0, self.left)) * self.window / self.quota

    def fields(self) -> Sequence[Field]:
        """The level as fields of an answer."""
        policy = f"{NAME};q={self.quota};w={math.ceil(self.window)}"
        level = f"{NAME};r={int(max(0.0, self.left))};t={math.ceil(self.full_in)}"
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", level.encode())]


class Buckets:
    """A bucket a key, of those that were used last.

    Args:
        quota: what a full one holds; 0: there is no limit.
        window: seconds in which it fills.
        clock: a monotonic one.
    """

    def __init__(self, quota: int, window: float, clock: Callable[[], float], *, capacity: int = CAPACITY) -> None:
        self._quota = quota
        self._window = window
        self._clock = clock
        self._capacity = capacity
        self._kept: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> Level | None:
        """Take one, where there is one; None: there is no limit."""
        if not self._quota:
            return None
        now = self._clock()
        left, at = self._kept.get(key, (float(self._quota), now))
        had = min(float(self._quota), left + (now - at) * self._quota / self._window)
        left = had - 1.0
        self._kept[key] = (left if left >= 0 else had, now)
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return Level(self._quota, self._window, left)


class Limits:
    """The limits of both APIs.

    Args:
        typed: calls of the typed API a minute, 0: no limit.
        legacy: the same of the legacy API.
        clock: a monotonic one.
    """

    def __init__(self, typed: int, legacy: int, clock: Callable[[], float]) -> None:
        self._typed = Buckets(typed, MINUTE, clock)
        self._legacy = Buckets(legacy, MINUTE, clock)

    def take(self, scope: Scope, key: Hashable) -> None:
        """Count a call.

        Raises:
            TooManyRequests: it is one too many.
        """
        typed = is_typed(scope["path"])
        level = (self._typed if typed else self._legacy).take(key)
        if level is None:
            return
        if typed:
            scope[LEVEL] = level
        if level.left < 0:
            raise TooManyRequests(level.wait)


def rate_fields(scope: Scope, _: Sequence[Field]) -> Sequence[Field]:
    """How many calls are left to who has called the typed API."""
    level: Level | None = scope.get(LEVEL)
    return () if level is None else level.fields()
