"""Tracks as GeoJSON and GPX: valid whatever a car sends, cut where it was away, the same in however many pieces."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.v1.history.track import geojson
from api_gateway.v1.history.track.geojson import GeoJson
from api_gateway.v1.history.track.gpx import Gpx
from api_gateway.v1.history.track.points import APART, Point, TrackWriter, are_apart, read_points
from ovms.db.samples import Sample

AT = datetime(2026, 11, 22, 19, 12, 23, 250_000, tzinfo=UTC)
NAMES = {"gpx": "http://www.topografix.com/GPX/1/1", "ext": "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"}

FINITE = st.floats(allow_nan=False, allow_infinity=False)
GAPS = st.timedeltas(timedelta(milliseconds=1), timedelta(hours=1))


@st.composite
def tracks(draw: st.DrawFn) -> list[Point]:
    at, points = AT, []
    for gap in draw(st.lists(GAPS, max_size=6)):
        at += gap
        optional = [draw(st.none() | FINITE) for _ in range(3)]
        points.append(Point(at, draw(st.floats(-90, 90)), draw(st.floats(-180, 180)), *optional))
    return points


def written(writer: TrackWriter, *pieces: Sequence[Point]) -> bytes:
    return writer.begin() + b"".join(map(writer.add, pieces)) + writer.end()


def drive(count: int, *, at: datetime = AT) -> list[Point]:
    return [Point(at + timedelta(seconds=5 * n), 47 + n / 1000, 8.5, 400.0 + n, 36.0, 90.0) for n in range(count)]


def features(data: bytes) -> list[dict[str, Any]]:
    found = json.loads(data)
    assert found["type"] == "FeatureCollection"
    return list(found["features"])


# ---- points


def test_a_point_is_what_a_sample_says() -> None:
    sample = Sample(AT, b"47.2266,8.8176,124,408,1,1,50,1234")
    points = read_points([sample._replace(units="K"), sample._replace(units="M"), sample])
    assert list(points) == [Point(AT, 47.2266, 8.8176, 408, speed, 124) for speed in (50, 80.5, None)]


@pytest.mark.parametrize(
    ("speed", "hdop", "quality", "is_kept"),
    [(0, 0.9, 90, True), (0, 9.9, 90, False), (0, 0.9, 12, False), (50, 9.9, 12, True), (0, 0, 0, True)],
)
def test_positions_of_poor_quality_are_left_out_while_the_car_stands(
    speed: int, hdop: float, quality: int, is_kept: bool
) -> None:
    data = f"47.2266,8.8176,124,408,1,1,{speed},0,0,0,0,0,0,0,,9,{hdop},0,{quality}".encode()
    assert len(list(read_points([Sample(AT, data)]))) == is_kept


@pytest.mark.parametrize("data", [b"", b"47.1", b",8.5", b"\xff,\xfe", b"north,east"])
def test_what_is_no_position_is_no_point(data: bytes) -> None:
    assert list(read_points([Sample(AT, data)])) == []


# ---- GeoJSON


def test_a_drive_is_a_line_with_a_time_a_position() -> None:
    (feature,) = features(written(GeoJson("DEMO", None), drive(3)))
    assert feature["geometry"]["type"] == "LineString"
    assert feature["geometry"]["coordinates"] == [[8.5, 47, 400], [8.5, 47.001, 401], [8.5, 47.002, 402]]
    assert feature["properties"] == {
        "vehicle": "DEMO",
        "start": "2026-11-22T19:12:23.250Z",
        "end": "2026-11-22T19:12:33.250Z",
        "times": ["2026-11-22T19:12:23.250Z", "2026-11-22T19:12:28.250Z", "2026-11-22T19:12:33.250Z"],
        "speeds": [36, 36, 36],
        "directions": [90, 90, 90],
    }


def test_a_point_alone_is_a_point_and_has_no_altitude_where_none_is_known() -> None:
    (feature,) = features(written(GeoJson("DEMO", None), [Point(AT, 47.0, 8.5)]))
    assert feature["geometry"] == {"type": "Point", "coordinates": [8.5, 47]}
    assert feature["properties"]["speeds"] == [None]


def test_what_follows_is_named() -> None:
    assert json.loads(written(GeoJson("DEMO", "abc")))["next"] == "abc"
    assert json.loads(written(GeoJson("DEMO", None))) == {"type": "FeatureCollection", "features": [], "next": None}


def test_a_long_drive_is_several_lines_that_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson, "LONGEST", 4)
    lines = [feature["geometry"]["coordinates"] for feature in features(written(GeoJson("DEMO", None), drive(10)))]
    assert [len(line) for line in lines] == [4, 4, 4]
    assert lines[0][-1] == lines[1][0]
    assert lines[1][-1] == lines[2][0]


@given(tracks())
def test_geojson_is_valid_and_loses_nothing(points: list[Point]) -> None:
    found = features(written(GeoJson("DEMO", None), points))
    times = []
    for feature in found:
        kind, places = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        places = [places] if kind == "Point" else places
        assert (kind == "Point") == (len(places) == 1)
        assert all(len(place) in (2, 3) and abs(place[0]) <= 180 and abs(place[1]) <= 90 for place in places)
        lengths = {len(feature["properties"][name]) for name in ("times", "speeds", "directions")}
        assert lengths == {len(places)}
        times += feature["properties"]["times"]
    assert len(times) == len(points)
    assert times == sorted(times)


# ---- GPX


def test_a_gpx_point_has_all_that_is_known() -> None:
    root = ET.fromstring(written(Gpx("DEMO"), drive(1)))
    (point,) = root.findall("gpx:trk/gpx:trkseg/gpx:trkpt", NAMES)
    assert root.attrib == {"version": "1.1", "creator": "OVMS server"}
    assert point.attrib == {"lat": "47.000000", "lon": "8.500000"}
    # The order is the schema's.
    assert [child.tag.partition("}")[2] for child in point] == ["ele", "time", "extensions"]
    assert point.findtext("gpx:ele", namespaces=NAMES) == "400.0"
    assert point.findtext("gpx:time", namespaces=NAMES) == "2026-11-22T19:12:23.250Z"
    extension = point.find("gpx:extensions/ext:TrackPointExtension", NAMES)
    assert extension is not None
    assert [(child.tag.partition("}")[2], child.text) for child in extension] == [("speed", "10.00"), ("course", "90.0")]


def test_a_gpx_point_has_nothing_else() -> None:
    root = ET.fromstring(written(Gpx("DEMO"), [Point(AT, 0.0000001, -8.5)]))
    (point,) = root.iterfind(".//gpx:trkpt", NAMES)
    assert point.attrib == {"lat": "0.000000", "lon": "-8.500000"}
    assert [child.tag.partition("}")[2] for child in point] == ["time"]


def test_an_empty_track_is_a_document() -> None:
    root = ET.fromstring(written(Gpx("A<B&C")))
    assert root.findtext("gpx:trk/gpx:name", namespaces=NAMES) == "A<B&C"
    assert root.findall(".//gpx:trkseg", NAMES) == []


@given(tracks())
def test_gpx_is_valid_and_loses_nothing(points: list[Point]) -> None:
    root = ET.fromstring(written(Gpx("DEMO"), points))
    found = root.findall(".//gpx:trkpt", NAMES)
    assert len(found) == len(points)
    for element, point in zip(found, points, strict=True):
        assert float(element.attrib["lat"]) == pytest.approx(point.latitude, abs=1e-6)
        assert float(element.attrib["lon"]) == pytest.approx(point.longitude, abs=1e-6)
        assert "e" not in element.attrib["lat"] + element.attrib["lon"]
    assert all(len(segment) for segment in root.findall(".//gpx:trkseg", NAMES))


# ---- both


@pytest.mark.parametrize("make", [lambda: GeoJson("DEMO", "next"), lambda: Gpx("DEMO")])
@given(points=tracks(), cut=st.integers(0, 6))
def test_pieces_do_not_show(make: Callable[[], TrackWriter], points: list[Point], cut: int) -> None:
    assert written(make(), points[:cut], [], points[cut:]) == written(make(), points)


def test_trips_that_are_apart_are_apart() -> None:
    first, second = drive(2), drive(2, at=AT + APART + timedelta(seconds=6))
    assert are_apart(first[-1], second[0])
    assert len(features(written(GeoJson("DEMO", None), first, second))) == 2
    assert len(ET.fromstring(written(Gpx("DEMO"), first + second)).findall(".//gpx:trkseg", NAMES)) == 2
    near = drive(2, at=first[-1].at + APART)
    assert len(features(written(GeoJson("DEMO", None), first, near))) == 1
