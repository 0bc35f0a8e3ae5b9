"""A track as GeoJSON (RFC 7946): a feature a trip, whose properties say when the vehicle was where. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from api_gateway.v1.history.track.points import Point, are_apart, write_moment

LONGEST: Final = 1000
"""Points of a feature: it has to be known as a whole before it can be written. The next one begins where it ends."""


class GeoJson:
    """Writes a FeatureCollection.

    Args:
        next_cursor: leads to what follows this track; None: nothing does.
    """

    def __init__(self, vehicle_id: str, next_cursor: str | None) -> None:
        self._vehicle_id = vehicle_id
        self._next = next_cursor
        self._open: list[Point] = []
        self._written = 0

    def begin(self) -> bytes:
        """The collection's beginning."""
        return b'{"type":"FeatureCollection","features":['

    def add(self, points: Iterable[Point]) -> bytes:
        """The features that end before the last of these points."""
        closed = bytearray()
        for point in points:
            if self._open and are_apart(self._open[-1], point):
                closed += self._close()
            elif len(self._open) >= LONGEST:
                last = self._open[-1]
                closed += self._close()
                self._open.append(last)
            self._open.append(point)
        return bytes(closed)

    def end(self) -> bytes:
        """The last feature, and the collection's end."""
        return b'%s],"next":%s}\n' % (self._close() if self._open else b"", orjson.dumps(self._next))

    def _close(self) -> bytes:
        points, self._open = self._open, []
        comma, self._written = b"," if self._written else b"", self._written + 1
        return comma + orjson.dumps(_feature(self._vehicle_id, points))


def _feature(vehicle_id: str, points: Sequence[Point]) -> dict[str, Any]:
    places = [_place(point) for point in points]
    geometry = {"type": "LineString", "coordinates": places} if len(places) > 1 else {"type": "Point", "coordinates": places[0]}
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {
            "vehicle": vehicle_id,
            "start": write_moment(points[0].at),
            "end": write_moment(points[-1].at),
            "times": [write_moment(point.at) for point in points],
            "speeds": [point.speed for point in points],
            "directions": [point.direction for point in points],
        },
    }


def _place(point: Point) -> list[float]:
    place = [point.longitude, point.latitude]
    return place if point.altitude is None else [*place, point.altitude]
