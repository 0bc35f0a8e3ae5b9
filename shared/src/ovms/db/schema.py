"""Whether a database has the migrations that a service needs: checked once, before it serves."""

import asyncio
from pathlib import Path
from typing import Final

import asyncpg

from ovms.db.dialing import Dialer
from ovms.db.engine import UNAVAILABLE
from ovms.errors import OvmsError

WITHIN: Final = 3.0
"""Seconds: a service starts without PostgreSQL as well, and serves what it can."""

_REVISION: Final = "SELECT version_num FROM alembic_version"


class SchemaBehind(OvmsError):
    """The database lacks migrations of this version."""

    def __str__(self) -> str:
        return "the database has not been migrated to this version: run `ovms migrate`"


def revisions() -> list[str]:
    """Return the revisions of this version, oldest first: each has a file `r<revision>_<what>.py`."""
    files = Path(__file__).with_name("migrations").joinpath("versions").glob("r*_*.py")
    return sorted(file.name[1:].partition("_")[0] for file in files)


async def check_schema(url: str) -> None:
    """Check that a database lacks no migration; do nothing where PostgreSQL is unavailable.

    The database of a newer version is accepted: services of the former version go on with it, and come back to it.

    Raises:
        SchemaBehind: it lacks some.
    """
    try:
        async with asyncio.timeout(WITHIN):
            connection = await Dialer(url).connect(timeout=WITHIN)
            try:
                revision = await connection.fetchval(_REVISION)
            finally:
                connection.terminate()
    except asyncpg.UndefinedTableError:
        raise SchemaBehind from None
    except (*UNAVAILABLE, asyncpg.PostgresError):
        return
    if revision is None or revision in revisions()[:-1]:
        raise SchemaBehind
