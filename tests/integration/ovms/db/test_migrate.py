"""Migrations lead from nothing to what tables.py declares."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from ovms.db import migrate
from ovms.db.migrate import create_engine, upgrade
from ovms.db.tables import metadata


def differences(connection: Connection) -> list[object]:
    def is_declared(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or not (name or "").startswith(("history_", "samples_", "state_history_", "alembic_"))

    options = {"compare_type": True, "compare_server_default": True, "include_name": is_declared}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrated_database_is_what_the_tables_declare(database_url: str) -> None:
    engine = create_engine(database_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_check_constraints_are_the_declared_ones(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    """Alembic does not compare these."""
    found = await pool.fetch(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid IN ('vehicles'::regclass, 'owners'::regclass)"
    )
    assert [row["conname"] for row in found] == ["ck_vehicles_vehicle_id"]


async def test_several_processes_may_migrate_at_once(empty_database_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_database_url) for _ in range(4)))

    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    assert await connection.fetchval("SELECT count(*) FROM owners") == 0
    await connection.close()


async def test_migrating_twice_changes_nothing(database_url: str, pool: asyncpg.Pool[asyncpg.Record]) -> None:
    await pool.execute("INSERT INTO owners (name, password_hash) VALUES ('demo', 'x')")
    await upgrade(database_url)
    assert await pool.fetchval("SELECT count(*) FROM owners") == 1


async def test_a_migration_does_not_wait_for_a_lock_for_long(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await upgrade(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)
    before = await connection.fetchval("SELECT version_num FROM alembic_version")
    await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.05)
    async with connection.transaction():
        await connection.execute("LOCK TABLE owners, vehicles, api_tokens, alembic_version IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(migrate.MigrationError, match="another session has held a lock"):
            await upgrade(empty_database_url)
    assert before != await connection.fetchval("SELECT version_num FROM alembic_version") == "0001"
    await connection.close()
