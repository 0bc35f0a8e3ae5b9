"""A pool whose server is away, hangs or is held up: who uses it waits no longer than was agreed."""

import asyncio
import time

import asyncpg
import pytest

from fixtures.outages import Fragile
from ovms.db.engine import GIVE_UP_TIMEOUT, UNAVAILABLE, Pool, open_pool

WITHIN = 0.3
SLACK = 2.0


@pytest.fixture
def database_url(fragile: Fragile) -> str:
    return fragile.store.url


async def impatient(url: str, size: int = 2) -> Pool:
    return await open_pool(url, size=size, acquire_within=WITHIN, answer_within=WITHIN)


async def backends(pool: Pool, state: str) -> int:
    count: int = await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE state = $1 AND datname = current_database()", state
    )
    return count


@pytest.mark.parametrize("is_connected", [True, False], ids=["a connection is open", "none is"])
async def test_a_paused_server_is_not_waited_for(fragile: Fragile, database_url: str, is_connected: bool) -> None:
    async with await impatient(database_url) as pool:
        if is_connected:
            await pool.fetchval("SELECT 1")
        async with fragile.paused():
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                await pool.fetchval("SELECT 2")
            assert time.monotonic() - began < WITHIN + GIVE_UP_TIMEOUT + SLACK
        assert await pool.fetchval("SELECT 3") == 3


async def test_many_who_ask_a_paused_server_wait_no_longer_than_one(fragile: Fragile, database_url: str) -> None:
    async with await impatient(database_url) as pool:
        await pool.fetchval("SELECT 1")
        async with fragile.paused():
            began = time.monotonic()
            answers = await asyncio.gather(*(pool.fetchval("SELECT 2") for _ in range(100)), return_exceptions=True)
            assert {type(answer) for answer in answers} == {TimeoutError}
            assert time.monotonic() - began < 2 * WITHIN + GIVE_UP_TIMEOUT + SLACK
        # On a busy machine some are given up again; the pool recovers all the same.
        answers = []
        while answers != [3] * 100:
            answers = await asyncio.gather(*(pool.fetchval("SELECT 3") for _ in range(100)), return_exceptions=True)
            assert {type(answer) for answer in answers} <= {int, TimeoutError}


async def test_a_statement_that_takes_too_long_is_given_up_there_too(database_url: str, pool: Pool) -> None:
    async with await impatient(database_url, size=1) as hasty:
        server = await hasty.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(TimeoutError):
            await hasty.fetchval("SELECT pg_sleep(60)")
        assert await backends(pool, "active") == 1, "the one that asks"
        assert await hasty.fetchval("SELECT pg_backend_pid()") == server, "its connection is used again"


async def test_who_is_cancelled_ends_soon_and_as_cancelled(fragile: Fragile, database_url: str) -> None:
    async with await open_pool(database_url, size=1) as patient:
        await patient.fetchval("SELECT 1")
        async with fragile.paused():
            asking = asyncio.create_task(patient.fetchval("SELECT 2"))
            await asyncio.sleep(0)
            asking.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert time.monotonic() - began < GIVE_UP_TIMEOUT + SLACK
        assert await patient.fetchval("SELECT 3") == 3


async def test_what_waits_for_a_paused_server_goes_on_with_it(fragile: Fragile, database_url: str) -> None:
    async with await open_pool(database_url, size=1) as patient:
        await patient.fetchval("SELECT 1")
        async with fragile.paused():
            asking = asyncio.create_task(patient.fetchval("SELECT 2"))
            await asyncio.sleep(WITHIN)
        assert await asking == 2


async def test_a_full_server_refuses_at_once_and_serves_those_it_knows(fragile: Fragile, database_url: str) -> None:
    async with await impatient(database_url) as known, await impatient(database_url) as newcomer:
        await known.fetchval("SELECT 1")
        async with fragile.full():
            assert await known.fetchval("SELECT 2") == 2
            with pytest.raises(asyncpg.TooManyConnectionsError) as refusal:
                await newcomer.fetchval("SELECT 2")
            assert isinstance(refusal.value, UNAVAILABLE)
        assert await newcomer.fetchval("SELECT 3") == 3


async def test_a_server_that_ends_or_dies_is_used_again_at_once(fragile: Fragile, database_url: str) -> None:
    async with await impatient(database_url) as pool:
        await pool.fetchval("SELECT 1")
        await fragile.restart()
        assert await pool.fetchval("SELECT 2") == 2
        async with fragile.killed():
            with pytest.raises(UNAVAILABLE):
                await pool.fetchval("SELECT 3")
        assert await pool.fetchval("SELECT 4") == 4
