"""History over HTTP."""

from datetime import UTC, datetime

import pytest

from fixtures.gateway import Gateway, send_record

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
