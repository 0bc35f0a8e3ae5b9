"""History lies in monthly partitions and expires in bounded steps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import asyncpg
import pytest

from ovms.db.partitions import drop_state_history, ensure_partitions, expire_rows

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
NOW = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
NEVER = NOW + timedelta(days=1000)


async def add(pool: Pool, number: int, recorded_at: datetime, expires_at: datetime = NEVER) -> None:
    await pool.execute(
        "INSERT INTO history (vehicle, record_type, record_number, recorded_at, data, expires_at) "
        "VALUES (1, 'X', $1, $2, 'x', $3)",
        number,
        recorded_at,
        expires_at,
    )


async def places(pool: Pool) -> dict[int, str]:
    rows = await pool.fetch("SELECT record_number, tableoid::regclass::text AS place FROM history")
    return {row["record_number"]: row["place"] for row in rows}


async def partitions(pool: Pool, table: str = "history") -> list[str]:
    rows = await pool.fetch("SELECT inhrelid::regclass::text AS n FROM pg_inherits WHERE inhparent = $1::text::regclass", table)
    return sorted(row["n"] for row in rows)


async def test_last_this_and_the_next_two_months_have_partitions(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await ensure_partitions(connection, NOW)
        await ensure_partitions(connection, NOW)

    months = ["history_2026_11", "history_2026_12", "history_2027_01", "history_2027_02"]
    assert await partitions(pool) == [*months, "history_default"]


async def test_samples_have_partitions_too(pool: Pool) -> None:
    insert = "INSERT INTO samples VALUES (1, $1, $2, 'x', $3)"
    await pool.execute(insert, "L", NOW, NEVER)
    async with pool.acquire() as connection:
        await ensure_partitions(connection, NOW)
        await pool.execute(insert, "S", NOW, NOW)
        assert await expire_rows(connection, NOW, limit=100) == 1
        await expire_rows(connection, NOW + timedelta(days=70), limit=100)

    rows = await pool.fetch("SELECT code, tableoid::regclass::text FROM samples")
    assert [tuple(row) for row in rows] == [("L", "samples_2026_12")]
    assert await partitions(pool, "samples") == ["samples_2026_12", "samples_2027_02", "samples_default"]


async def test_several_replicas_may_make_them_at_once(pool: Pool) -> None:
    async def ensure() -> None:
        async with pool.acquire() as connection:
            await ensure_partitions(connection, NOW)

    await asyncio.gather(*(ensure() for _ in range(4)))

    assert len(await partitions(pool)) == 5


async def test_records_that_came_before_their_partition_move_into_it(pool: Pool) -> None:
    january = datetime(2027, 1, 1, tzinfo=UTC)
    await add(pool, 1, january)
    await add(pool, 2, january - timedelta(seconds=1))
    await add(pool, 3, datetime(1999, 1, 1, tzinfo=UTC))
    assert set((await places(pool)).values()) == {"history_default"}

    async with pool.acquire() as connection:
        await ensure_partitions(connection, NOW)

    assert await places(pool) == {1: "history_2027_01", 2: "history_2026_12", 3: "history_default"}


@pytest.mark.parametrize("recorded_at", [NOW, datetime(1999, 1, 1, tzinfo=UTC)])
async def test_expired_records_go_in_bounded_steps(pool: Pool, recorded_at: datetime) -> None:
    async with pool.acquire() as connection:
        await ensure_partitions(connection, NOW)
        for number in range(5):
            await add(pool, number, recorded_at, expires_at=NOW)
        await add(pool, 5, recorded_at, expires_at=NOW + timedelta(seconds=1))

        assert [await expire_rows(connection, NOW, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    assert list(await places(pool)) == [5]


async def test_partitions_of_the_past_go_when_they_are_empty(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await ensure_partitions(connection, NOW)
        await add(pool, 1, NOW)
        later = NOW + timedelta(days=70)

        await expire_rows(connection, later, limit=100)

    assert await partitions(pool) == ["history_2026_12", "history_2027_02", "history_default"]


async def test_a_partition_that_a_writer_uses_is_dropped_later(pool: Pool) -> None:
    async with pool.acquire() as connection, pool.acquire() as writer:
        await ensure_partitions(connection, NOW)
        later = NOW + timedelta(days=70)
        async with writer.transaction():
            await writer.execute(
                "INSERT INTO history (vehicle, record_type, record_number, recorded_at, data, expires_at) "
                "VALUES (1, 'X', 1, $1, 'x', $2)",
                NOW,
                NEVER,
            )
            await expire_rows(connection, later, limit=100)
            assert "history_2026_11" in await partitions(pool)
        await expire_rows(connection, later, limit=100)

    assert await partitions(pool) == ["history_2026_12", "history_2027_02", "history_default"]


async def add_states(pool: Pool, *times: datetime) -> None:
    await pool.executemany("INSERT INTO state_history VALUES (1, 'D', $1, 'x')", [(time,) for time in times])


async def test_the_state_history_has_a_partition_a_day(pool: Pool) -> None:
    in_two_days = datetime(2027, 1, 2, tzinfo=UTC)
    await add_states(pool, NOW, in_two_days)
    async with pool.acquire() as connection:
        await ensure_partitions(connection, NOW)

    days = [f"state_history_{day}" for day in ("2026_12_30", "2026_12_31", "2027_01_01", "2027_01_02")]
    assert await partitions(pool, "state_history") == [*days, "state_history_default"]
    rows = await pool.fetch("SELECT recorded_at, tableoid::regclass::text FROM state_history ORDER BY recorded_at")
    assert [tuple(row) for row in rows] == [(NOW, days[1]), (in_two_days, days[3])]


async def test_a_day_of_the_state_history_is_dropped_when_all_of_it_is_older(pool: Pool) -> None:
    day = NOW.replace(hour=0, minute=0)
    long_ago = datetime(1999, 1, 1, tzinfo=UTC)
    async with pool.acquire() as connection:
        await ensure_partitions(connection, NOW)
        await add_states(pool, long_ago, day - timedelta(seconds=1), day, NOW)
        await drop_state_history(connection, day - timedelta(seconds=1))
        assert await pool.fetchval("SELECT count(*) FROM state_history") == 3, "but for what has no partition"
        await drop_state_history(connection, day)
        assert await pool.fetchval("SELECT min(recorded_at) FROM state_history") == day
        assert await expire_rows(connection, NEVER, limit=100) == 0, "its rows do not expire one by one"


async def test_a_day_of_the_state_history_that_a_writer_uses_is_dropped_later(pool: Pool) -> None:
    async with pool.acquire() as connection, pool.acquire() as writer:
        await ensure_partitions(connection, NOW)
        async with writer.transaction():
            await writer.execute("INSERT INTO state_history VALUES (1, 'D', $1, 'x')", NOW)
            await drop_state_history(connection, NOW + timedelta(days=1))
            assert "state_history_2026_12_31" in await partitions(pool, "state_history")
        await drop_state_history(connection, NOW + timedelta(days=1))

    assert "state_history_2026_12_31" not in await partitions(pool, "state_history")
