"""Bring a database to the form that `tables.py` declares."""

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ovms.db.dialing import Dialer
from ovms.db.engine import CONNECT_TIMEOUT
from ovms.errors import OvmsError

# The process that migrates holds this advisory lock; the number only has to be ours.
_LOCK: Final = 0x4F564D53
LOCK_TIMEOUT: Final = 10.0
"""Seconds to wait for a lock on a table: everything that comes later for that table waits behind this statement."""
_LOCK_NOT_AVAILABLE: Final = "55P03"


class MigrationError(OvmsError):
    """The database cannot be migrated; nothing was changed."""


class Schema(Enum):
    """The migrations of a database, compared with those of this version."""

    BEHIND = "behind"
    CURRENT = "current"
    NEWER = "newer"


def create_engine(url: str, **options: Any) -> AsyncEngine:
    """An SQLAlchemy engine, for the address that `engine` takes.

    Raises:
        AddressError: it is none.
    """
    connect = partial(Dialer(url).connect, timeout=CONNECT_TIMEOUT)
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **options)


async def upgrade(url: str) -> None:
    """Run the migrations that the database lacks, in one transaction: all of them or none.

    Any number of processes may do this at once: one works, the others wait and find nothing left to do.

    Raises:
        MigrationError: a newer version has migrated it, or another session holds a lock for longer than `LOCK_TIMEOUT`.
    """
    engine = create_engine(url)
    try:
        async with engine.begin() as connection:
            await upgrade_in(connection)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise MigrationError(
            f"another session has held a lock on a table for {LOCK_TIMEOUT:g} s, so nothing was migrated: "
            "end long transactions (pg_stat_activity), then run `ovms migrate` again"
        ) from None
    finally:
        await engine.dispose()


async def upgrade_in(connection: AsyncConnection) -> None:
    """The same on a connection, inside its transaction."""
    await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    # Only now: processes that wait for the advisory lock may have to wait for as long as the migration takes.
    await connection.execute(select(func.set_config("lock_timeout", f"{LOCK_TIMEOUT:g}s", True)))
    await connection.run_sync(_run)


async def read_schema(url: str) -> Schema:
    """Compare the migrations that a database has with those of this version."""
    engine = create_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_read_schema)
    finally:
        await engine.dispose()


def _read_schema(connection: Connection) -> Schema:
    script = ScriptDirectory.from_config(_config())
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision == script.get_current_head():
        return Schema.CURRENT
    is_known = revision is None or revision in {known.revision for known in script.walk_revisions()}
    return Schema.BEHIND if is_known else Schema.NEWER


def _run(connection: Connection) -> None:
    schema = _read_schema(connection)
    if schema is Schema.NEWER:
        raise MigrationError(
            "a newer version of this server has migrated the database, and this version cannot migrate it: "
            "run `ovms migrate` of the newer version, or restore a backup from before"
        )
    if schema is Schema.CURRENT:
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    # ConfigParser takes a percent sign in the path for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
