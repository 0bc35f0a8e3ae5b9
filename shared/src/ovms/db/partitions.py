"""Partitions: made ahead of time, and dropped when nothing in them is needed.

`history` and `samples` have one a month, emptied as rows expire. `state_history` has one a day, dropped with all its rows.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from ovms.db.engine import Connection

# Periods before and after the current one that have a partition of their own.
_BEHIND: Final = 1
_AHEAD: Final = 2
_LOCK: Final = 0x4F564D48


class _Period(NamedTuple):
    """How a table is partitioned by `recorded_at`."""

    start: Callable[[datetime, int], datetime]
    """Returns the first moment, in UTC, of the period that lies so many periods from a time."""
    name: str
    """The format of the name of a period."""


def _month(now: datetime, offset: int) -> datetime:
    now = now.astimezone(UTC)
    months = now.year * 12 + now.month - 1 + offset
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _day(now: datetime, offset: int) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=offset)


_MONTHS: Final = _Period(_month, "%Y_%m")
_DAYS: Final = _Period(_day, "%Y_%m_%d")
_STATE_HISTORY: Final = "state_history"
_PERIODS: Final = {"history": _MONTHS, "samples": _MONTHS, _STATE_HISTORY: _DAYS}

TABLES: Final = ("history", "samples")
"""Tables with the column `expires_at`."""


async def ensure_partitions(connection: Connection, now: datetime) -> None:
    """Make the partitions of the last period, this one and the next two, where they are missing.

    Rows of such a period that came before its partition move into it from the default partition.

    Raises:
        asyncpg.LockNotAvailableError: others kept the default partition busy; try again later.
    """
    for table, period in _PERIODS.items():
        for offset in range(-_BEHIND, _AHEAD + 1):
            start, end = period.start(now, offset), period.start(now, offset + 1)
            if _name(table, start) not in await _partitions(connection, table):
                await _create(connection, table, start, end)


async def expire_rows(connection: Connection, now: datetime, *, limit: int) -> int:
    """Remove at most `limit` expired rows; return how many. Old partitions that hold nothing any more go too."""
    removed = 0
    for table in TABLES:
        for partition in await _partitions(connection, table):
            removed += await _expire(connection, partition, now, limit - removed)
            if removed >= limit:
                return removed
        await _drop_empty(connection, table, now)
    return removed


async def drop_state_history(connection: Connection, until: datetime) -> None:
    """Drop the days of `state_history` that end before this time, and remove what is older from its default partition."""
    first_kept = _name(_STATE_HISTORY, _DAYS.start(until, 0))
    for partition in await _partitions(connection, _STATE_HISTORY):
        if partition < first_kept:
            await _drop(connection, _STATE_HISTORY, partition)
    await connection.execute("DELETE FROM state_history_default WHERE recorded_at < $1", until)


async def _create(connection: Connection, table: str, start: datetime, end: datetime) -> None:
    name, bounds = _name(table, start), f"FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if name in await _partitions(connection, table):
            return
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        # Nobody may add a row of this period to the default partition between the move and the attachment.
        await connection.execute(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE")
        await connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
        await connection.execute(
            f"WITH moved AS (DELETE FROM {table}_default WHERE recorded_at >= $1 AND recorded_at < $2 RETURNING *) "  # noqa: S608
            f"INSERT INTO {name} SELECT * FROM moved",
            start,
            end,
        )
        await connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")


async def _expire(connection: Connection, partition: str, now: datetime, limit: int) -> int:
    # One partition at a time, by the rows' addresses: the whole table would be joined with itself, and read for that.
    status = await connection.execute(
        f"DELETE FROM {partition} WHERE ctid = ANY (ARRAY("  # noqa: S608
        f"SELECT ctid FROM {partition} WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))",
        now,
        limit,
    )
    return int(status.removeprefix("DELETE "))


async def _drop_empty(connection: Connection, table: str, now: datetime) -> None:
    oldest_kept = _name(table, _month(now, -_BEHIND))
    for partition in await _partitions(connection, table):
        if partition < oldest_kept and await _is_empty(connection, partition):
            await _drop(connection, table, partition, only_if_empty=True)


async def _drop(connection: Connection, table: str, partition: str, *, only_if_empty: bool = False) -> None:
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '1s'")
            # DROP takes this lock anyway; taken first, no writer can be caught between the table and its partition.
            await connection.execute(f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")
            if not only_if_empty or await _is_empty(connection, partition):
                await connection.execute(f"DROP TABLE {partition}")
    except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):
        return  # the next round finds it again, or another replica has dropped it


async def _is_empty(connection: Connection, partition: str) -> bool:
    return not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {partition})")  # noqa: S608


async def _partitions(connection: Connection, table: str) -> list[str]:
    """The names of all partitions of a table, the default one (`history_default`) last."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = $1::text::regclass ORDER BY relname",
        table,
    )
    return [row["relname"] for row in rows]


def _name(table: str, start: datetime) -> str:
    return f"{table}_{start.strftime(_PERIODS[table].name)}"
