"""PostgreSQL is killed, restarted, paused or full: callers are told soon to come again; when it is back, all works at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from fixtures.gateway import Gateway
from fixtures.outages import Fragile, end_others
from fixtures.waiting import until

LOGIN = {"username": "demo", "password": "secret"}
WITHIN = 8.0
"""What the gateway waits for PostgreSQL at most, and time for a busy machine."""

CALLS = [
    ("GET", "/api/token"),
    ("POST", "/api/token"),
    ("DELETE", "/api/token/x"),
    ("GET", "/api/vehicles"),
    ("GET", "/api/vehicle/DEMO"),
    ("DELETE", "/api/vehicle/DEMO"),
    ("GET", "/api/status/DEMO"),
    ("GET", "/api/historical/DEMO"),
    ("GET", "/api/historical/DEMO/x"),
]


@pytest.fixture
def database_url(fragile_database_url: str) -> str:
    return fragile_database_url


@pytest.fixture
async def owner(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a session."""
    async with await gateway.signed_in() as client:
        yield client


COMMANDS = "/api/v1/vehicles/DEMO/commands"


async def test_while_postgresql_is_away_no_command_is_taken(
    fragile: Fragile, gateway: Gateway, owner: httpx.AsyncClient
) -> None:
    queued = await owner.post(COMMANDS, json={"kind": "lock", "queue": True})
    assert queued.status_code == 202
    calls = [("POST", COMMANDS), ("GET", COMMANDS), ("GET", queued.headers["location"]), ("DELETE", queued.headers["location"])]
    async with fragile.away("killed", gateway.pool):
        for method, path in calls:
            answer = await owner.request(method, path, json={"kind": "lock"} if method == "POST" else None, timeout=30)
            assert (answer.status_code, answer.json()["type"]) == (503, "/api/v1/problems/service-unavailable")
            assert int(answer.headers["retry-after"]) > 0
    assert (await owner.get(COMMANDS)).json()["items"] == [queued.json()]
    assert b"Traceback" not in gateway.log.getvalue()


@pytest.mark.parametrize("how", ["killed", "paused", "full"])
async def test_every_call_says_soon_to_come_again(
    fragile: Fragile, gateway: Gateway, owner: httpx.AsyncClient, how: str
) -> None:
    async def call(client: httpx.AsyncClient, method: str, path: str, **options: object) -> httpx.Response:
        return await client.request(method, path, timeout=30, **options)

    async with gateway.client() as stranger:
        async with fragile.away(how, gateway.pool):
            began = time.monotonic()
            ready, *answers = await asyncio.gather(
                call(stranger, "GET", "/readyz"),
                *(call(owner, method, path) for method, path in CALLS),
                *(call(stranger, method, path, params=LOGIN) for method, path in CALLS),
                call(stranger, "GET", "/api/cookie", params=LOGIN),
                call(stranger, "POST", "/mqapi/auth", data=LOGIN),
            )
            assert time.monotonic() - began < WITHIN
            assert {(answer.status_code, answer.text) for answer in answers} == {(503, "Service unavailable\n")}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
            assert (await stranger.get("/livez")).status_code == 200
            assert ready.json() == {"postgresql": "unavailable", "redis": "ok"}
        began = time.monotonic()
        answers = await asyncio.gather(*(call(owner, method, path) for method, path in CALLS))
        assert {answer.status_code for answer in answers} <= {200, 201}
        assert (await stranger.get("/api/vehicles", params=LOGIN)).status_code == 200
        assert time.monotonic() - began < WITHIN
    assert b"Traceback" not in gateway.log.getvalue()


async def test_a_full_server_serves_the_connections_that_it_has(
    fragile: Fragile, gateway: Gateway, owner: httpx.AsyncClient
) -> None:
    assert (await owner.get("/api/vehicles")).status_code == 200
    async with fragile.full():
        for _ in range(5):
            assert (await owner.get("/api/vehicles")).status_code == 200


async def test_a_standby_that_has_not_taken_over_yet_is_no_fault_of_ours(gateway: Gateway, owner: httpx.AsyncClient) -> None:
    database = await gateway.pool.fetchval("SELECT current_database()")
    await gateway.pool.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    await end_others(gateway.pool)
    assert (await owner.get("/api/token")).status_code == 200
    assert (await owner.post("/api/token")).status_code == 503


async def test_whatever_happens_to_the_server_nobody_is_told_of_a_fault_of_ours(
    fragile: Fragile, gateway: Gateway, owner: httpx.AsyncClient
) -> None:
    statuses: Counter[int] = Counter()

    async def poll() -> None:
        while True:
            answer = await owner.get("/api/vehicle/DEMO")
            statuses[answer.status_code] += 1
            assert (answer.status_code == 503) == ("retry-after" in answer.headers)

    async def answered(status: int) -> None:
        before = statuses[status]
        await until(lambda: statuses[status] > before)

    polling = [asyncio.create_task(poll()) for _ in range(8)]
    for _ in range(2):
        await answered(200)
        await fragile.restart()
        assert (await owner.get("/api/status/DEMO")).status_code == 200
        await answered(200)
        async with fragile.killed():
            await answered(503)
        assert (await owner.get("/api/status/DEMO")).status_code == 200
    assert not any(task.done() for task in polling)
    for task in polling:
        task.cancel()
    await asyncio.gather(*polling, return_exceptions=True)
    assert statuses.keys() == {200, 503}
    assert b"Traceback" not in gateway.log.getvalue()
