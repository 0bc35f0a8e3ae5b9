"""A track as GPX 1.1: a segment a trip. Speed and course, which GPX 1.1 leaves to others, are in Garmin's extension. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final
from xml.sax.saxutils import escape

from api_gateway.v1.history.track.points import Point, are_apart, write_moment

_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="OVMS server" xmlns="http://www.topografix.com/GPX/1/1" \
xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
<trk><name>%s</name>
"""
_KM_PER_HOUR: Final = 3.6
"""In a metre a second."""


class Gpx:
    """Writes a document of one track."""

    def __init__(self, vehicle_id: str) -> None:
        self._vehicle_id = vehicle_id
        self._last: Point | None = None

    def begin(self) -> bytes:
        """The document's beginning."""
        return (_HEAD % escape(self._vehicle_id)).encode()

    def add(self, points: Iterable[Point]) -> bytes:
        """These points."""
        return "".join(self._lines(points)).encode()

    def end(self) -> bytes:
        """The document's end."""
        return b"%s</trk>\n</gpx>\n" % (b"</trkseg>\n" if self._last else b"")

    def _lines(self, points: Iterable[Point]) -> Iterator[str]:
        for point in points:
            if self._last is None:
                yield "<trkseg>\n"
            elif are_apart(self._last, point):
                yield "</trkseg>\n<trkseg>\n"
            yield _line(point)
            self._last = point


def _line(point: Point) -> str:
    # Plain decimals: XML Schema's decimal has no exponent.
    elevation = "" if point.altitude is None else f"<ele>{point.altitude:.1f}</ele>"
    return (
        f'<trkpt lat="{point.latitude:.6f}" lon="{point.longitude:.6f}">{elevation}<time>{write_moment(point.at)}</time>'
        f"{_extension(point)}</trkpt>\n"
    )


def _extension(point: Point) -> str:
    speed = "" if point.speed is None else f"<gpxtpx:speed>{point.speed / _KM_PER_HOUR:.2f}</gpxtpx:speed>"
    course = "" if point.direction is None else f"<gpxtpx:course>{point.direction % 360:.1f}</gpxtpx:course>"
    if not speed and not course:
        return ""
    return f"<extensions><gpxtpx:TrackPointExtension>{speed}{course}</gpxtpx:TrackPointExtension></extensions>"
