"""History, notifications, sampled states and traffic over HTTP: pages, ranges, forms, scopes."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api_gateway.v1.history import listings
from api_gateway.v1.history.models import HistoryPage, HistorySummary, NotificationPage, StatePage, Traffic
from fixtures.gateway import Gateway, send_record, send_sample, token_header
from ovms.db.traffic import add_traffic

VEHICLE = "/api/v1/vehicles/DEMO"
TRIPS = f"{VEHICLE}/history/*-LOG-Trip"
DEMO = ("demo", "secret")
JUNE = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
COUNT = 7


@pytest.fixture
async def recorded(gateway: Gateway) -> Gateway:
    """A gateway whose DEMO has records: two of each time, the last alone."""
    for number in range(COUNT):
        await send_record(gateway.pool, "DEMO", "*-LOG-Trip", number, f"{number},ü", JUNE + timedelta(hours=number // 2))
    await send_record(gateway.pool, "DEMO", "*-OVM-DebugTasks", 1, "=x", JUNE)
    await send_record(gateway.pool, "OTHER1", "*-LOG-Trip", 99, "foreign", JUNE)
    return gateway


async def pages(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """All items, by the cursors; the links say the same."""
    items: list[dict[str, Any]] = []
    following, asked = path, query or None
    while following:
        answer = await client.get(following, params=asked)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        items += found["items"]
        link = answer.links.get("next", {}).get("url")
        assert (found["next"] is None) == (link is None)
        if link:
            assert "secret" not in link
            linked = await client.get(link)
            by_hand = await client.get(path, params={**query, "cursor": found["next"]})
            assert linked.json() == by_hand.json()
        following, asked = link, None
    return items


# ---- records


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_hold_every_record_once(recorded: Gateway, order: str) -> None:
    async with recorded.client(auth=DEMO) as client:
        for limit in (1, 2, 3, COUNT, COUNT + 1):
            items = await pages(client, TRIPS, limit=limit, order=order)
            assert [item["number"] for item in items] == sorted(range(COUNT), reverse=order == "desc")


async def test_a_page_has_types_and_a_tag(recorded: Gateway) -> None:
    async with recorded.client(auth=DEMO) as client:
        answer = await client.get(TRIPS, params={"limit": 1})
        again = await client.get(TRIPS, params={"limit": 1}, headers={"If-None-Match": answer.headers["etag"]})
    HistoryPage.model_validate_json(answer.content)
    assert answer.json()["items"] == [{"recorded_at": "2026-06-01T12:00:00Z", "number": 0, "data": "0,ü"}]
    assert answer.headers["cache-control"] == "private, no-cache"
    assert (again.status_code, again.content) == (304, b"")


RANGES = (
    ({"from": "2026-06-01T13:00:00Z"}, [2, 3, 4, 5, 6]),
    ({"from": "2026-06-01T15:00:00+02:00"}, [2, 3, 4, 5, 6]),
    ({"to": "2026-06-01T13:00:00Z"}, [0, 1]),
    ({"from": "2026-06-01T13:00:00Z", "to": "2026-06-01T14:00:00Z"}, [2, 3]),
    ({"from": "2026-06-01T12:00:00.5Z", "to": "2026-06-01T13:00:00.000001Z"}, [2, 3]),
    ({"from": "2026-06-02T00:00:00Z"}, []),
    ({"from": "2026-06-01T14:00:00Z", "to": "2026-06-01T13:00:00Z"}, []),
)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_range_of_time(recorded: Gateway, order: str) -> None:
    async with recorded.client(auth=DEMO) as client:
        for query, numbers in RANGES:
            items = await pages(client, TRIPS, limit=2, order=order, **query)
            assert sorted(item["number"] for item in items) == numbers, query


IMPOSSIBLE = (
    ("cursor", "nonsense"),
    ("cursor", ""),
    ("cursor", "WyJhIl0"),
    ("limit", "0"),
    ("limit", "1001"),
    ("limit", "many"),
    ("from", "yesterday"),
    ("to", "2026-06-01"),
    ("from", "0001-01-01T00:00:00+14:00"),
    ("order", "random"),
)


async def test_what_cannot_be_is_a_problem_that_says_which(recorded: Gateway) -> None:
    async with recorded.client(auth=DEMO) as client:
        for name, value in IMPOSSIBLE:
            answer = await client.get(TRIPS, params={name: value})
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), (name, value)
            assert answer.json()["type"] == "/api/v1/problems/invalid-request"
            assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"#/query/{name}"]


async def test_types_of_which_there_is_nothing(recorded: Gateway) -> None:
    async with recorded.client(auth=DEMO) as client:
        for path in ("history/%00", "history/", "history/*-NO-Such", "history/a/b"):
            answer = await client.get(f"{VEHICLE}/{path}")
            assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None}), path


async def test_long_records_make_short_pages(recorded: Gateway) -> None:
    for number in range(4):
        await send_record(recorded.pool, "DEMO", "long", number, "x" * 600_000, JUNE)
    async with recorded.client(auth=DEMO) as client:
        first = await client.get(f"{VEHICLE}/history/long")
        assert len(first.json()["items"]) == 2
        assert [item["number"] for item in await pages(client, f"{VEHICLE}/history/long")] == [0, 1, 2, 3]


# ---- forms


def lines_of(text: str) -> Iterator[Any]:
    return map(json.loads, text.splitlines())


async def test_csv_and_lines_of_json_hold_all(recorded: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "MOST", 2)
    async with recorded.client(auth=DEMO) as client:
        items = (await client.get(TRIPS)).json()["items"]
        table = await client.get(TRIPS, headers={"Accept": "text/csv"})
        lines = await client.get(TRIPS, headers={"Accept": "application/x-ndjson"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert table.headers["cache-control"] == lines.headers["cache-control"] == "private, no-cache"
    assert "Accept" in table.headers["vary"]
    assert list(lines_of(lines.text)) == items
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [(row["recorded_at"], int(row["number"]), row["data"]) for row in rows] == [tuple(item.values()) for item in items]


async def test_a_table_can_have_pages_too(recorded: Gateway) -> None:
    found, following = "", TRIPS + "?limit=3"
    async with recorded.client(auth=DEMO, headers={"Accept": "application/x-ndjson"}) as client:
        while following:
            answer = await client.get(following)
            found, following = found + answer.text, answer.links.get("next", {}).get("url")
    assert [line["number"] for line in lines_of(found)] == list(range(COUNT))


async def test_an_empty_table_has_its_head(recorded: Gateway) -> None:
    async with recorded.client(auth=DEMO) as client:
        table = await client.get(f"{VEHICLE}/history/none", headers={"Accept": "text/csv"})
        lines = await client.get(f"{VEHICLE}/history/none", headers={"Accept": "application/x-ndjson"})
    assert (table.text, lines.text) == ("recorded_at,number,data\r\n", "")


async def test_no_spreadsheet_runs_what_a_car_wrote(recorded: Gateway) -> None:
    async with recorded.client(auth=DEMO) as client:
        table = await client.get(f"{VEHICLE}/history/*-OVM-DebugTasks", headers={"Accept": "text/csv"})
    assert table.text.splitlines()[1] == "2026-06-01T12:00:00Z,1,'=x"


async def test_a_form_that_there_is_not_is_not_acceptable(recorded: Gateway) -> None:
    async with recorded.client(auth=DEMO, headers={"Accept": "application/xml"}) as client:
        for path in ("history/*-LOG-Trip", "notifications", "state/history", "track"):
            answer = await client.get(f"{VEHICLE}/{path}")
            assert (answer.status_code, answer.json()["type"]) == (406, "/api/v1/problems/not-acceptable"), path


# ---- the summary


async def test_the_summary(recorded: Gateway) -> None:
    async with recorded.client(auth=DEMO) as client:
        answer = await client.get(f"{VEHICLE}/history")
        items = await pages(client, f"{VEHICLE}/history", limit=1)
        later = await client.get(f"{VEHICLE}/history", params={"from": "2026-06-01T13:00:00Z"})
    HistorySummary.model_validate_json(answer.content)
    assert answer.json() == {"items": items, "next": None}
    assert items == [
        {
            "record_type": "*-LOG-Trip",
            "records": 7,
            "numbers": 7,
            "bytes": 28,
            "first": "2026-06-01T12:00:00Z",
            "last": "2026-06-01T15:00:00Z",
            "needs_location": True,
        },
        {
            "record_type": "*-OVM-DebugTasks",
            "records": 1,
            "numbers": 1,
            "bytes": 2,
            "first": "2026-06-01T12:00:00Z",
            "last": "2026-06-01T12:00:00Z",
            "needs_location": False,
        },
    ]
    assert [item["records"] for item in later.json()["items"]] == [5]


# ---- notifications, states, traffic


async def test_notifications_are_typed_and_the_newest_is_first(gateway: Gateway) -> None:
    told = ("A,Moved (@47.226612,8.817605)", "I,Charging\rSOC: 75%")
    for number, data in enumerate(told):
        await send_record(gateway.pool, "DEMO", "*-Log-Notification", number, data, JUNE + timedelta(minutes=number))
    async with gateway.client(auth=DEMO) as client:
        answer = await client.get(f"{VEHICLE}/notifications")
        assert await pages(client, f"{VEHICLE}/notifications", limit=1) == answer.json()["items"]
    NotificationPage.model_validate_json(answer.content)
    assert answer.json()["items"] == [
        {"notified_at": "2026-06-01T12:01:00Z", "number": 1, "kind": "info", "text": "Charging\nSOC: 75%"},
        {"notified_at": "2026-06-01T12:00:00Z", "number": 0, "kind": "alert", "text": "Moved (@47.226612,8.817605)"},
    ]
    async with gateway.client(headers=await token_header(gateway, "history")) as client:
        for kind in ("application/json", "text/csv", "application/x-ndjson"):
            text = (await client.get(f"{VEHICLE}/notifications", headers={"Accept": kind})).text
            assert "Moved (@…,…)" in text
            assert "47.2" not in text


async def test_states_are_records_in_time(gateway: Gateway) -> None:
    for minute in range(5):
        await send_sample(gateway.pool, "DEMO", f"S{80 - minute},K,230,16,charging", JUNE + timedelta(minutes=minute))
    await send_sample(gateway.pool, "DEMO", "L47.1,8.5,0,0,1", JUNE)
    async with gateway.client(auth=DEMO) as client:
        answer = await client.get(f"{VEHICLE}/state/history")
        newest = await pages(client, f"{VEHICLE}/state/history", limit=2, order="desc")
        table = await client.get(f"{VEHICLE}/state/history", headers={"Accept": "text/csv"})
    StatePage.model_validate_json(answer.content)
    assert [item["soc"] for item in answer.json()["items"]] == [80, 79, 78, 77, 76]
    assert [item["soc"] for item in newest] == [76, 77, 78, 79, 80]
    first = next(csv.DictReader(io.StringIO(table.text)))
    assert (first["soc"], first["charge_state"], first["soh"]) == ("80.0", "charging", "")
    assert "47.1" not in answer.text + table.text


async def test_traffic(gateway: Gateway) -> None:
    vehicle = await gateway.pool.fetchval("SELECT id FROM vehicles WHERE vehicle_id = 'DEMO'")
    today = int(datetime.now(UTC).timestamp()) // 86_400 * 86_400
    sums = [(vehicle, today - day * 86_400, kind, kind + 1) for day in (0, 1) for kind in range(4)]
    await add_traffic(gateway.pool, sums, days=9)
    async with gateway.client(auth=DEMO) as client:
        answer = await client.get(f"{VEHICLE}/traffic")
        one = await client.get(f"{VEHICLE}/traffic", params={"days": 1})
        too_many = await client.get(f"{VEHICLE}/traffic", params={"days": 367})
        again = await client.get(f"{VEHICLE}/traffic", headers={"If-None-Match": answer.headers["etag"]})
    Traffic.model_validate_json(answer.content)
    first, second = answer.json()["items"]
    assert first["day"] == datetime.now(UTC).date().isoformat()
    assert first["day"] > second["day"]
    assert (first["car"], first["apps"]) == ({"received": 1, "sent": 2}, {"received": 3, "sent": 4})
    assert one.json()["items"] == [first]
    assert (too_many.status_code, again.status_code) == (422, 304)


# ---- who may what

ALL = {"admin", "auth"}
BOTH = {*ALL, "history,location"}
CALLS = {
    "history": {*BOTH, "history"},
    "history/*-OVM-DebugTasks": {*BOTH, "history"},
    "history/*-LOG-Trip": BOTH,
    "notifications": {*BOTH, "history"},
    "state/history": {*BOTH, "history"},
    "track": BOTH,
    "traffic": {*ALL, "read"},
}


async def test_each_call_needs_its_scopes(recorded: Gateway) -> None:
    for permit in ("read", "location", "history", "control", "admin", "auth", "history,location"):
        async with recorded.client(headers=await token_header(recorded, permit)) as client:
            statuses = {path: (await client.get(f"{VEHICLE}/{path}")).status_code for path in CALLS}
        assert statuses == {path: 200 if permit in permits else 403 for path, permits in CALLS.items()}, permit


async def test_who_has_no_such_vehicle_learns_nothing_of_its_calls(recorded: Gateway) -> None:
    for path in CALLS:
        async with recorded.client() as client:
            nobody = await client.get(f"{VEHICLE}/{path}", params={"limit": "x"})
        async with recorded.client(auth=("other", "hunter22")) as client:
            other = await client.get(f"{VEHICLE}/{path}", params={"cursor": "x"})
        assert (nobody.status_code, other.status_code) == (401, 404), path


async def test_the_legacy_call_keeps_positions_from_who_may_not_see_them(recorded: Gateway) -> None:
    async with recorded.client(headers=await token_header(recorded, "history")) as client:
        trips = await client.get("/api/historical/DEMO/*-LOG-Trip")
        tasks = await client.get("/api/historical/DEMO/*-OVM-DebugTasks")
    assert (trips.status_code, tasks.status_code) == (403, 200)
