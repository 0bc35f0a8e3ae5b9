"""Ways into PostgreSQL: a pool of asyncpg connections for what is hot, an SQLAlchemy engine for administration.

Both are made from one address of the form `postgresql://user:password@host:port/database` (libpq's; a socket directory is
given as `?host=/directory`). Reads and writes that cars and API clients cause run as prepared statements straight on asyncpg:
the same statement through SQLAlchemy costs more than PostgreSQL needs to answer it (docs/decisions/0003).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeAlias

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT: Final = 5.0
COMMAND_TIMEOUT: Final = 30.0

# What a statement raises when PostgreSQL is away or going away, as opposed to refusing this statement.
UNAVAILABLE: Final = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says of a connection whose server was killed, until it has noticed that it is gone.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


async def open_pool(url: str, *, size: int) -> Pool:
    """A pool of at most `size` connections; none is opened before it is needed."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT,
        command_timeout=COMMAND_TIMEOUT,
        reset=_keep,
    )


async def _keep(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Spare the round trip that resets a connection: no statement of this project leaves session state behind."""


def create_engine(url: str, **options: Any) -> AsyncEngine:
    """An SQLAlchemy engine for administration and migrations."""
    return create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), **options)
