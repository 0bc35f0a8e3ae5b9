"""Tracks over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from api_gateway.v1.history.track import routes
from fixtures.gateway import Gateway, send_message, send_sample

TRACK = "/api/v1/vehicles/DEMO/track"
DEMO = ("demo", "secret")
START = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
COUNT = 6
GPX = {"Accept": "application/gpx+xml"}
NAMES = {"gpx": "http://www.topografix.com/GPX/1/1", "ext": "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"}


@pytest.fixture
async def driven(gateway: Gateway) -> Gateway:
    """A gateway whose DEMO has driven twice, an hour apart."""
    await send_message(gateway.pool, "DEMO", "S80,M")
    for number in range(COUNT):
        at = START + timedelta(seconds=5 * number, hours=number // 4)
        await send_sample(gateway.pool, "DEMO", f"L47.{number:06},8.5,90,408,1,1,50", at, "M")
    await send_sample(gateway.pool, "DEMO", "L,,", START + timedelta(hours=2))
    await send_sample(gateway.pool, "OTHER1", "L1,1,90,408,1,1,50", START)
    return gateway


def times_of(features: list[dict[str, Any]]) -> list[str]:
    return [time for feature in features for time in feature["properties"]["times"]]


async def test_geojson(driven: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async with driven.client(auth=DEMO) as client:
        answer = await client.get(TRACK)
        as_json = await client.get(TRACK, headers={"Accept": "application/json"})
        for at_once in (1, 4):
            monkeypatch.setattr(routes, "AT_ONCE", at_once)
            assert (await client.get(TRACK)).content == answer.content
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert (as_json.headers["content-type"], as_json.content) == ("application/json", answer.content)
    found = answer.json()
    assert (found["type"], found["next"], len(found["features"])) == ("FeatureCollection", None, 2)
    first = found["features"][0]
    assert first["geometry"]["coordinates"] == [[8.5, 47 + number / 1_000_000, 408] for number in range(4)]
    assert first["properties"]["speeds"] == [80.5] * 4
    assert first["properties"]["times"][1] == "2026-06-01T12:00:05.000Z"


async def test_gpx(driven: Gateway) -> None:
    async with driven.client(auth=DEMO, headers=GPX) as client:
        answer = await client.get(TRACK)
    assert answer.headers["content-type"] == "application/gpx+xml"
    root = ET.fromstring(answer.content)
    assert [len(segment) for segment in root.findall("gpx:trk/gpx:trkseg", NAMES)] == [4, 2]
    assert root.findtext(".//ext:speed", namespaces=NAMES) == "22.36"


async def test_pages_hold_every_point_once(driven: Gateway) -> None:
    async with driven.client(auth=DEMO) as client:
        for limit in (1, 2, 4, COUNT + 1):
            times, following = [], f"{TRACK}?limit={limit}"
            while following:
                answer = await client.get(following)
                times += times_of(answer.json()["features"])
                link = answer.links.get("next", {}).get("url")
                assert (link is None) == (answer.json()["next"] is None)
                same = await client.get(following, headers=GPX)
                assert same.links.get("next", {}).get("url") == link
                following = link
            assert len(times) == COUNT
            assert times == sorted(times)


RANGES = (
    ({"from": "2026-06-01T12:00:05Z", "to": "2026-06-01T12:00:15Z"}, 2),
    ({"from": "2026-06-01T13:00:00Z"}, 2),
    ({"to": "2026-06-01T12:00:00Z"}, 0),
)


async def test_a_range_of_time(driven: Gateway) -> None:
    async with driven.client(auth=DEMO) as client:
        for query, count in RANGES:
            answer = await client.get(TRACK, params=query)
            document = await client.get(TRACK, params=query, headers=GPX)
            assert len(times_of(answer.json()["features"])) == count
            assert len(ET.fromstring(document.content).findall(".//gpx:trkpt", NAMES)) == count


async def test_what_is_past_may_be_kept(driven: Gateway) -> None:
    async with driven.client(auth=DEMO) as client:
        past = await client.get(TRACK, params={"to": "2026-06-01T13:00:00Z"})
        page = await client.get(TRACK, params={"limit": 2})
        present = await client.get(TRACK, params={"to": datetime.now(UTC).isoformat()})
    assert past.headers["cache-control"] == page.headers["cache-control"] == "private, max-age=3600"
    assert present.headers["cache-control"] == "private, no-cache"


async def test_what_cannot_be_is_a_problem(driven: Gateway) -> None:
    async with driven.client(auth=DEMO) as client:
        for query in ({"cursor": "x"}, {"limit": "0"}, {"limit": "50001"}, {"from": "x"}):
            answer = await client.get(TRACK, params=query)
            assert (answer.status_code, answer.json()["type"]) == (422, "/api/v1/problems/invalid-request")


async def test_speeds_keep_the_unit_of_their_time(driven: Gateway) -> None:
    await driven.pool.execute("UPDATE messages SET data = '80,K'")
    async with driven.client(auth=DEMO) as client:
        found = (await client.get(TRACK)).json()
    assert found["features"][0]["properties"]["speeds"] == [80.5] * 4


async def test_points_that_nobody_can_have_driven_are_left_out(driven: Gateway) -> None:
    for number, place in enumerate(("0,8.5", "0,47.1", "48.9,8.5")):
        await send_sample(driven.pool, "DEMO", f"L{place},90,408,1,1,50", START + timedelta(seconds=6 + number), "K")
    async with driven.client(auth=DEMO) as client:
        found = (await client.get(TRACK)).json()
    first = found["features"][0]["geometry"]["coordinates"]
    assert first == [[8.5, 47 + number / 1_000_000, 408] for number in range(4)]


async def test_speeds_are_unknown_where_the_unit_is(driven: Gateway) -> None:
    await driven.pool.execute("UPDATE samples SET units = NULL")
    async with driven.client(auth=DEMO) as client:
        found = (await client.get(TRACK)).json()
    assert found["features"][0]["properties"]["speeds"] == [None] * 4


async def test_a_long_track_is_sent_while_it_is_read(driven: Gateway) -> None:
    await driven.pool.execute(
        """INSERT INTO samples
           SELECT id, 'L', $1::timestamptz + n * interval '5 s', convert_to('48.1,' || n * 0.0005 || ',0,0,1', 'UTF8'), now()
           FROM vehicles, generate_series(1, 12000) AS n WHERE vehicle_id = 'DEMO'""",
        START + timedelta(days=1),
    )
    async with driven.client(auth=DEMO) as client, client.stream("GET", TRACK, params={"limit": 50_000}) as answer:
        pieces = [piece async for piece in answer.aiter_raw()]
    assert len(pieces) > 5
    features = json.loads(b"".join(pieces))["features"]
    assert max(len(feature["properties"]["times"]) for feature in features) <= 1000
    assert len({time for feature in features for time in feature["properties"]["times"]}) == 12_000 + COUNT
