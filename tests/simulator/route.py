"""Where the car drives: the road around Lake Zurich, a closed loop of some 70 km."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

EARTH_RADIUS: Final = 6371.0  # km


@dataclass(frozen=True, slots=True)
class Place:
    """A point of the road: degrees, and metres above the sea."""

    latitude: float
    longitude: float
    altitude: float


@dataclass(frozen=True, slots=True)
class Position:
    """A place, and the heading there in degrees from north."""

    place: Place
    heading: float


LAKE_ZURICH: Final = (
    Place(47.3668, 8.5408, 408),  # Zurich
    Place(47.3549, 8.5510, 409),
    Place(47.3402, 8.5712, 415),  # Zollikon
    Place(47.3176, 8.5828, 418),  # Kuesnacht
    Place(47.3040, 8.5962, 420),  # Erlenbach
    Place(47.2880, 8.6190, 414),  # Herrliberg
    Place(47.2702, 8.6436, 421),  # Meilen
    Place(47.2561, 8.6916, 425),  # Maennedorf
    Place(47.2403, 8.7237, 414),  # Staefa
    Place(47.2335, 8.7714, 410),  # Uerikon
    Place(47.2266, 8.8176, 408),  # Rapperswil
    Place(47.2133, 8.8015, 407),  # on the dam through the lake
    Place(47.2026, 8.7787, 412),  # Pfaeffikon
    Place(47.2005, 8.7430, 440),
    Place(47.2083, 8.7049, 410),  # Richterswil
    Place(47.2291, 8.6712, 418),  # Waedenswil
    Place(47.2452, 8.6310, 415),
    Place(47.2590, 8.5983, 411),  # Horgen
    Place(47.2789, 8.5801, 435),  # Oberrieden
    Place(47.2951, 8.5643, 433),  # Thalwil
    Place(47.3221, 8.5452, 425),  # Kilchberg
    Place(47.3430, 8.5308, 412),  # Wollishofen
)


class Route:
    """A loop of places; distances along it are km from the first one and may go round any number of times."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._stretches = list(pairwise([*places, places[0]]))
        self._marks = [0.0, *accumulate(distance(start, end) for start, end in self._stretches)]

    @property
    def length(self) -> float:
        """Kilometres once around."""
        return self._marks[-1]

    def position(self, along: float) -> Position:
        """Where the car is after so many kilometres."""
        along %= self.length
        number = min(bisect_right(self._marks, along), len(self._stretches)) - 1
        start, end = self._stretches[number]
        share = (along - self._marks[number]) / (self._marks[number + 1] - self._marks[number])
        return Position(_between(start, end, share), _heading(start, end))

    def distance_to(self, along: float, places: int) -> float:
        """Kilometres from here to the place that comes after so many places, at least one."""
        rounds, here = divmod(along, self.length)
        number = min(bisect_right(self._marks, here), len(self._stretches)) - 1 + places
        more_rounds, number = divmod(number, len(self._stretches))
        return (rounds + more_rounds) * self.length + self._marks[number] - along


def distance(start: Place, end: Place) -> float:
    """Kilometres on the surface of the Earth (haversine)."""
    north, east = math.radians(end.latitude - start.latitude), math.radians(end.longitude - start.longitude)
    width = math.cos(math.radians(start.latitude)) * math.cos(math.radians(end.latitude))
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(math.sin(north / 2) ** 2 + width * math.sin(east / 2) ** 2))


def _between(start: Place, end: Place, share: float) -> Place:
    return Place(
        start.latitude + share * (end.latitude - start.latitude),
        start.longitude + share * (end.longitude - start.longitude),
        start.altitude + share * (end.altitude - start.altitude),
    )


def _heading(start: Place, end: Place) -> float:
    east = (end.longitude - start.longitude) * math.cos(math.radians(start.latitude))
    return math.degrees(math.atan2(east, end.latitude - start.latitude)) % 360
