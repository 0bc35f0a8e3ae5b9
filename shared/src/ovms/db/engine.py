"""The way into PostgreSQL: a pool of asyncpg connections.

It is made from an address of the form `postgresql://user:password@host:port/database` (libpq's; a socket directory is given as
`?host=/directory`, several hosts with commas between). All statements run on asyncpg: SQLAlchemy's engine costs more than
PostgreSQL needs to answer (docs/decisions/0003).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

from ovms.db.dialing import Dialer
from ovms.db.keepalive import KeptAlive

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"
Database: TypeAlias = "Pool | Connection"
"""What a statement can be given to: by itself, or in the transaction of a connection."""

if TYPE_CHECKING:
    _Pool = asyncpg.Pool[asyncpg.Record]
    _Acquire = PoolAcquireContext[asyncpg.Record]
    _Connection = PoolConnectionProxy[asyncpg.Record]
else:
    _Pool, _Acquire = asyncpg.Pool, PoolAcquireContext

CONNECT_TIMEOUT: Final = 5.0
COMMAND_TIMEOUT: Final = 30.0
GIVE_UP_TIMEOUT: Final = 0.5
"""For PostgreSQL to say that it has given up a statement. One that is paused says nothing: then the connection is given up."""

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
    # A standby that has not taken over yet, a deadlock, a disk that fails: the same statement may succeed later.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresSystemError,
)


async def open_pool(
    url: str, *, size: int, acquire_within: float | None = None, answer_within: float = COMMAND_TIMEOUT
) -> Pool:
    """A pool of at most `size` connections; none is opened before it is needed.

    Args:
        acquire_within: the most seconds to wait for a connection, be it a new one or one that others use; None: no limit.
        answer_within: the most seconds to wait for the answer to a statement.

    Raises:
        AddressError: the address is none.
    """
    return await _BoundedPool(url, size, acquire_within, answer_within)


class _BoundedPool(_Pool):
    """A pool that nobody waits for without end: a server that is paused neither answers nor refuses."""

    __slots__ = ("acquire_within",)

    def __init__(self, url: str, size: int, acquire_within: float | None, answer_within: float) -> None:
        self.acquire_within = acquire_within
        super().__init__(
            url,
            min_size=0,
            max_size=size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            connect=Dialer(url).connect,
            reset=_keep,
            loop=None,
            connection_class=KeptAlive,
            record_class=asyncpg.Record,
            timeout=CONNECT_TIMEOUT,
            command_timeout=answer_within,
        )

    def acquire(self, *, timeout: float | None = None) -> _Acquire:
        return _BoundedAcquire(self, timeout)

    async def release(self, connection: _Connection, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 (asyncpg's)
        # Without a limit asyncpg waits for as long as the statement might have taken: who has given it up must not. Past the
        # limit the connection is ended, and what is to be raised is why the statement was given up: it may be a cancellation.
        with suppress(TimeoutError):
            await super().release(connection, timeout=GIVE_UP_TIMEOUT if timeout is None else timeout)


class _BoundedAcquire(_Acquire):
    __slots__ = ()

    async def __aenter__(self) -> _Connection:
        # asyncpg's own limit makes a task of every call.
        assert isinstance(self.pool, _BoundedPool)
        async with asyncio.timeout(self.pool.acquire_within):
            return await super().__aenter__()

    async def __aexit__(self, *raised: object) -> None:
        error = raised[1]
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            # This server is the primary no more: what is open to it ends with its use, and what is opened finds the new one.
            await self.pool.expire_connections()
        elif isinstance(error, asyncpg.InternalClientError) or type(error) is asyncpg.InterfaceError:
            # asyncpg has lost its place: PostgreSQL has said that it ends this connection, and has not yet. Nothing more can be
            # asked on it, not even to end the transaction, which asyncpg would try, and say loudly that it had to.
            assert self.connection is not None
            self.connection.terminate()
        await super().__aexit__(*raised)


def is_left_behind(context: Mapping[str, Any]) -> bool:
    """Whether what a loop's exception handler is told is only a future that asyncpg has left behind.

    It does so where it begins a COPY on a connection that PostgreSQL is ending. Who copies is told otherwise.
    """
    return "never retrieved" in context["message"] and isinstance(context.get("exception"), asyncpg.ConnectionDoesNotExistError)


async def _keep(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Spare the round trip that resets a connection: no statement of this project leaves session state behind."""
