"""History over HTTP."""

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from fixtures.gateway import Gateway, send_past_state, send_record, token_header
from ovms.db.history import PAGE_BYTES

JUNE = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
JULY = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
async def recorded(gateway: Gateway) -> Gateway:
    """A gateway whose DEMO has three records."""
    await send_record(gateway.pool, "DEMO", "*-LOG-Trip", 6, "d,e,f", JULY)
    await send_record(gateway.pool, "DEMO", "*-LOG-Trip", 5, "a,b,c", JUNE)
    await send_record(gateway.pool, "DEMO", "*-LOG-Grid", 1, "ü", JULY)
    return gateway


async def test_summary(recorded: Gateway) -> None:
    async with await recorded.signed_in() as client:
        answer = await client.get("/api/historical/demo")
    assert answer.text == (
        '[{"distinctrecs":1,"first":"2026-07-01 12:00:00","h_recordtype":"*-LOG-Grid","last":"2026-07-01 12:00:00",'
        '"totalrecs":1,"totalsize":"36"},'
        '{"distinctrecs":2,"first":"2026-06-01 12:00:00","h_recordtype":"*-LOG-Trip","last":"2026-07-01 12:00:00",'
        '"totalrecs":2,"totalsize":"78"}]\n'
    )


async def test_records(recorded: Gateway) -> None:
    async with await recorded.signed_in() as client:
        answer = await client.get("/api/historical/DEMO/*-LOG-Trip")
        assert answer.text == (
            '[{"h_data":"a,b,c","h_recordnumber":5,"h_timestamp":"2026-06-01 12:00:00"},'
            '{"h_data":"d,e,f","h_recordnumber":6,"h_timestamp":"2026-07-01 12:00:00"}]\n'
        )
        assert (await client.get("/api/historical/DEMO/%2A-LOG-Trip/more")).text == answer.text


@pytest.mark.parametrize(
    "path", ["/api/historical/DEMO/", "/api/historical/DEMO/*-NO-Such", "/api/historical/DEMO/%00", "/api/historical/Second"]
)
async def test_none(recorded: Gateway, path: str) -> None:
    async with await recorded.signed_in() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, "[]\n")


@pytest.mark.parametrize(
    ("since", "numbers"),
    [
        ("2099-01-01", []),
        ("2026-06-15", [6]),
        ("2026-07-01 12:00:00", []),
        ("2026-07-01 11:59:59", [6]),
        ("2026-06-01", [5, 6]),
        ("yesterday", [5, 6]),
        ("", [5, 6]),
        ("2026-02-30", [5, 6]),
        ("'; DROP TABLE history; --", [5, 6]),
    ],
)
async def test_since(recorded: Gateway, since: str, numbers: list[int]) -> None:
    async with await recorded.signed_in() as client:
        answer = await client.get("/api/historical/DEMO/*-LOG-Trip", params={"since": since})
        assert [row["h_recordnumber"] for row in answer.json()] == numbers
        summary = await client.get("/api/historical/DEMO", params={"since": since})
        assert sum(row["totalrecs"] for row in summary.json() if row["h_recordtype"] == "*-LOG-Trip") == len(numbers)


@pytest.mark.parametrize(
    "path",
    [
        "/api/historical/OTHER1",
        "/api/historical/OTHER1/x",
        "/api/historical/",
        "/api/historical",
        "/api/historical//x",
        "/api/historical/%00",
    ],
)
async def test_foreign_vehicles(recorded: Gateway, path: str) -> None:
    async with await recorded.signed_in() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.text) == (403, "Forbidden\n")


@pytest.mark.parametrize("asked", ["*-log-trip", "*-LOG-TRIP", "*-LOG-Trip%20%20"])
async def test_types_compare_without_case_and_trailing_blanks(recorded: Gateway, asked: str) -> None:
    await send_record(recorded.pool, "DEMO", "*-Log-TRIP ", 6, "other", JULY)
    async with await recorded.signed_in() as client:
        answer = await client.get(f"/api/historical/DEMO/{asked}")
        assert [row["h_data"] for row in answer.json()] == ["a,b,c", "d,e,f", "other"]
        summary = await client.get("/api/historical/DEMO")
        assert [(row["h_recordtype"], row["totalrecs"]) for row in summary.json()] == [("*-LOG-Grid", 1), ("*-LOG-Trip", 3)]
        assert (await client.get("/api/historical/DEMO/*-LOG-Tri_")).json() == []


async def test_the_summary_has_types_in_the_order_of_mysql(gateway: Gateway) -> None:
    for record_type in ("b-x", "B_x", "*-Log-Notification", "a", "*-LOG-Trip", "B-y"):
        await send_record(gateway.pool, "DEMO", record_type, 1, "x", JULY)
    async with await gateway.signed_in() as client:
        summary = (await client.get("/api/historical/DEMO")).json()
    in_order = ["*-Log-Notification", "*-LOG-Trip", "a", "b-x", "B-y", "B_x"]
    assert [row["h_recordtype"] for row in summary] == in_order


async def test_state_messages_are_records_of_their_code(recorded: Gateway) -> None:
    await send_past_state(recorded.pool, "DEMO", "D1,2", JULY)
    await send_past_state(recorded.pool, "DEMO", "D3", JULY + timedelta(seconds=1))
    await send_past_state(recorded.pool, "DEMO", "S4", JULY)
    await send_past_state(recorded.pool, "Second", "D9", JULY)
    await send_record(recorded.pool, "DEMO", "d", 0, "of a module", JUNE)
    rows = [("of a module", 0, "2026-06-01 12:00:00"), ("1,2", 0, "2026-07-01 12:00:00"), ("3", 0, "2026-07-01 12:00:01")]
    async with await recorded.signed_in() as client:
        for asked in ("D", "d", "d%20"):
            answer = (await client.get(f"/api/historical/DEMO/{asked}")).json()
            assert [(row["h_data"], row["h_recordnumber"], row["h_timestamp"]) for row in answer] == rows
        since = {"since": "2026-07-01 12:00:00"}
        assert [row["h_data"] for row in (await client.get("/api/historical/DEMO/D", params=since)).json()] == ["3"]
        summary = {row["h_recordtype"]: row for row in (await client.get("/api/historical/DEMO")).json()}
        assert list(summary) == ["*-LOG-Grid", "*-LOG-Trip", "D", "S"]
        assert summary["D"] == {
            "distinctrecs": 1,
            "first": "2026-06-01 12:00:00",
            "h_recordtype": "D",
            "last": "2026-07-01 12:00:01",
            "totalrecs": 3,
            "totalsize": str(3 * (1 + 4 + 20) + len("of a module") + 3 + 1),
        }


async def test_a_second_record_of_a_second_is_not_later_than_its_second(recorded: Gateway) -> None:
    await send_record(recorded.pool, "DEMO", "*-LOG-Trip", 6, "g", JULY + timedelta(microseconds=1))
    async with await recorded.signed_in() as client:
        for since, found in (("2026-07-01 12:00:00", []), ("2026-07-01 11:59:59", ["d,e,f", "g"])):
            answer = await client.get("/api/historical/DEMO/*-LOG-Trip", params={"since": since})
            assert [row["h_data"] for row in answer.json()] == found
            assert {row["h_timestamp"] for row in answer.json()} <= {"2026-07-01 12:00:00"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("L", 403),
        ("l", 403),
        ("L%20", 403),
        ("*-log-trip", 403),
        ("D", 200),
        ("d", 200),
        ("S", 200),
        ("*-ovm-utilisation", 200),
    ],
)
async def test_who_may_not_know_the_position_reads_no_record_that_tells_it_in_any_spelling(
    recorded: Gateway, asked: str, status: int
) -> None:
    for message in ("L1,2", "D1", "S1"):
        await send_past_state(recorded.pool, "DEMO", message, JULY)
    await send_record(recorded.pool, "DEMO", "*-OVM-Utilisation", 0, "1", JULY)
    token = (await token_header(recorded, "history"))["Authorization"].removeprefix("Bearer ")
    async with recorded.client() as client:
        answer = await client.get(f"/api/historical/DEMO/{asked}", params={"username": "demo", "password": token})
    assert answer.status_code == status, answer.text


LONG = 200_000
"""Bytes of a record: six of them are more than a page."""


@pytest.fixture
async def large(gateway: Gateway) -> Gateway:
    """A gateway whose DEMO has 20 long records."""
    for number in range(20):
        await send_record(gateway.pool, "DEMO", "*-B", number, f"{number}," + "x" * LONG, JUNE)
    return gateway


async def test_long_answers_are_sent_in_pieces_and_are_the_same_json(large: Gateway) -> None:
    async with await large.signed_in() as client, client.stream("GET", "/api/historical/DEMO/*-b") as answer:
        assert "content-length" not in answer.headers
        assert answer.headers["content-type"] == "application/json"
        pieces = [piece async for piece in answer.aiter_raw()]
    body = b"".join(pieces)
    assert max(map(len, pieces)) < 3 * PAGE_BYTES
    assert [entry["h_recordnumber"] for entry in json.loads(body)] == list(range(20))
    assert body.startswith(b'[{"h_data":"0,x')
    assert body.endswith(b'"h_timestamp":"2026-06-01 12:00:00"}]\n')


PATHS = ("/api/historical/DEMO/*-B", "/api/v1/account/export")


@pytest.mark.parametrize("path", PATHS)
async def test_a_credential_has_two_long_answers_at_a_time(large: Gateway, path: str) -> None:
    """The answers are not read: each is more than the buffers of both ends hold."""
    await large.pool.execute("UPDATE history SET data = data || convert_to(repeat('y', 1500000), 'UTF8')")
    async with large.client(auth=("demo", "secret")) as client, AsyncExitStack() as held:
        for _ in range(2):
            answer = await held.enter_async_context(client.stream("GET", path))
            assert answer.status_code == 200
        for other in PATHS:
            refused = await client.get(other)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
