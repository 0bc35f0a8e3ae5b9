"""Bring a database to the form that `tables.py` declares."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ovms.db.engine import create_engine

# Whoever migrates holds this advisory lock; the number only has to be ours.
_LOCK: Final = 0x4F564D53


async def upgrade(url: str) -> None:
    """Run the migrations that the database lacks, in one transaction: all of them or none.

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


def _run(connection: Connection) -> None:
    config = Config()
    # ConfigParser takes a percent sign in the path for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
