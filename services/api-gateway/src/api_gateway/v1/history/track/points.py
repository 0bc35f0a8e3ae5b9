"""Points of a track, made from samples of positions, and where it is cut. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from ovms.db.samples import Sample
from ovms.records import DistanceUnit, Location, decode

APART: Final = timedelta(minutes=30)
"""A car that was not heard of for longer has made another trip. While it stands it is sampled once an hour."""

# Both are exact.
KM_PER_HOUR: Final[Mapping[str | None, float]] = {DistanceUnit.KILOMETRES: 1.0, DistanceUnit.MILES: 1.609344}

WORST_HDOP: Final = 5.0
"""Horizontal dilution of precision; receivers call more than 5 moderate to poor."""
LEAST_QUALITY: Final = 30
"""Percent: firmware calls less poor (v.p.gpssq)."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a vehicle was at one time. What it did not say is None."""

    at: datetime
    latitude: float
    longitude: float
    altitude: float | None = None
    """In metres."""
    speed: float | None = None
    """In km/h; None too where the vehicle does not say what it measures in."""
    direction: float | None = None
    """In degrees from north."""


class TrackWriter(Protocol):
    """Writes a track, piece by piece."""

    def begin(self) -> bytes:
        """What stands before the points."""

    def add(self, points: Iterable[Point]) -> bytes:
        """What can be written now that these points are known, which follow all former ones."""

    def end(self) -> bytes:
        """All that is left."""


def read_points(samples: Iterable[Sample]) -> Iterator[Point]:
    """Decode samples of positions, except those without a position and those of poor quality of a parked car."""
    for sample in samples:
        found = decode(Location, sample.data.decode("utf-8", "replace"))
        if found.latitude is None or found.longitude is None or (not found.speed and _is_poor(found)):
            continue
        factor = KM_PER_HOUR.get(sample.units)
        speed = None if found.speed is None or factor is None else round(found.speed * factor, 1)
        yield Point(sample.recorded_at, found.latitude, found.longitude, found.altitude, speed, found.direction)


def _is_poor(found: Location) -> bool:
    """Return whether the receiver itself calls a position poor. 0 is what modules send without a measure of quality."""
    return (found.hdop or 0) > WORST_HDOP or 0 < (found.gps_quality or 0) < LEAST_QUALITY


def are_apart(former: Point, latter: Point) -> bool:
    """Whether two points that follow each other are of different trips."""
    return latter.at - former.at > APART


def write_moment(moment: datetime) -> str:
    """A moment as tracks tell it: RFC 3339 with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
