"""Bring a database to the form that `tables.py` declares.

No service imports this: SQLAlchemy takes longer to import than all else that they need.
"""

from functools import partial
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ovms.db.dialing import Dialer
from ovms.db.engine import CONNECT_TIMEOUT

# Whoever migrates holds this advisory lock; the number only has to be ours.
_LOCK: Final = 0x4F564D53


def create_engine(url: str, **options: Any) -> AsyncEngine:
    """An SQLAlchemy engine, for the address that `engine` takes.

    Raises:
        AddressError: it is none.
    """
    connect = partial(Dialer(url).connect, timeout=CONNECT_TIMEOUT)
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **options)


async def upgrade(url: str) -> None:
    """Run the migrations that the database lacks, in one transaction: all of them or none. A newer one is left as it is.

    Any number of processes may do this at once: one works, the others wait and find nothing left to do.
    """
    engine = create_engine(url)
    try:
        async with engine.begin() as connection:
            await upgrade_in(connection)
    finally:
        await engine.dispose()


async def upgrade_in(connection: AsyncConnection) -> None:
    """The same on a connection, inside its transaction."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    await connection.run_sync(_run)


async def is_behind(url: str) -> bool:
    """Whether the database lacks migrations of this version. One that a newer version has migrated lacks none."""
    engine = create_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_is_behind)
    finally:
        await engine.dispose()


def _is_behind(connection: Connection) -> bool:
    script = ScriptDirectory.from_config(_config())
    revision = MigrationContext.configure(connection).get_current_revision()
    older = {known.revision for known in script.walk_revisions()} - {script.get_current_head()}
    return revision is None or revision in older


def _run(connection: Connection) -> None:
    if not _is_behind(connection):
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    # ConfigParser takes a percent sign in the path for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
