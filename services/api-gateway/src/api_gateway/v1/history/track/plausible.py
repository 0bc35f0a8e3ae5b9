"""Leaves out points of a track that no vehicle can have driven to: faults of receivers. Pure."""

from collections.abc import Iterable, Iterator
from math import asin, cos, radians, sin, sqrt
from typing import Final

from api_gateway.v1.history.track.points import Point

FASTEST: Final = 400.0
"""km/h, also on a train: what is faster is a fault of the receiver."""
SLACK: Final = 0.5
"""Kilometres between two points that are allowed in any time: samples are timed when they arrive."""
NEAR_ZERO: Final = 1.0
"""Degrees: a vehicle that crosses the equator or Greenwich was within this of it at its previous point."""
MOST_PENDING: Final = 8
"""Points that wait for another one to confirm them."""

_EARTH: Final = 6371.0
"""Mean radius in kilometres."""


class Plausible:
    """Passes on the points that can be driven between, in their order.

    A point that can be reached from the last one passes. Another waits until a following point can be reached from it: the
    vehicle was moved, or the points before were wrong. The first point waits too, since nothing precedes it.
    """

    def __init__(self) -> None:
        self._last: Point | None = None
        self._pending: list[Point] = []

    def add(self, points: Iterable[Point]) -> Iterator[Point]:
        """Yield the points that these confirm."""
        for point in points:
            if self._last is not None and can_drive(self._last, point):
                self._pending.clear()
                self._last = point
                yield point
                continue
            confirmed = next((pending for pending in reversed(self._pending) if can_drive(pending, point)), None)
            if confirmed is None:
                self._pending = [*self._pending[1 - MOST_PENDING :], point]
                continue
            self._pending.clear()
            self._last = point
            yield confirmed
            yield point

    def end(self) -> Iterator[Point]:
        """Yield the only point of a track that has no other, unless it is a fault by itself."""
        if self._last is None and len(self._pending) == 1 and not _zero_axes(self._pending[0]):
            yield self._pending[0]


def can_drive(former: Point, latter: Point) -> bool:
    """Return whether a vehicle can have been at both points.

    A receiver without a position reports 0 for an axis. Such a point counts only next to the line: exactly 0 in both axes,
    in the sea, never does.
    """
    for point, other in ((former, latter), (latter, former)):
        if point.latitude == point.longitude == 0:
            return False
        if point.latitude == 0 and abs(other.latitude) > NEAR_ZERO:
            return False
        if point.longitude == 0 and abs(other.longitude) > NEAR_ZERO:
            return False
    hours = (latter.at - former.at).total_seconds() / 3600
    return _distance(former, latter) <= SLACK + FASTEST * hours


def _zero_axes(point: Point) -> bool:
    return point.latitude == 0 or point.longitude == 0


def _distance(one: Point, other: Point) -> float:
    """Return the great-circle distance in kilometres."""
    north, east = radians(other.latitude - one.latitude), radians(other.longitude - one.longitude)
    part = sin(north / 2) ** 2 + cos(radians(one.latitude)) * cos(radians(other.latitude)) * sin(east / 2) ** 2
    return 2 * _EARTH * asin(min(1.0, sqrt(part)))
