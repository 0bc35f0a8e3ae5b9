"""PostgreSQL ends a connection between two statements: it is used no more, and that is all."""

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from fixtures.cars import add_vehicles
from ovms.db.engine import UNAVAILABLE, Pool, is_left_behind, open_pool
from ovms.db.writer import StateRow, write_states

TABLE_IS_MADE = b"CREATE TABLE\0"
_FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
FAREWELL = b"E" + (4 + len(_FIELDS)).to_bytes(4, "big") + _FIELDS
"""What a server says that is stopped (PostgreSQL, protocol, ErrorResponse); after it the connection ends."""


@asynccontextmanager
async def saying_farewell(database_url: str, leaves: asyncio.Event) -> AsyncIterator[str]:
    """The address of a server before PostgreSQL that says farewell once a table was made, and has not hung up yet."""
    url = make_url(database_url)
    socket = f"{url.query['host']}/.s.PGSQL.{url.port or 5432}"

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data + FAREWELL if leaves.is_set() and TABLE_IS_MADE in data else data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pass_on(reader, there_writer), pass_on(there_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield url.set(host="127.0.0.1", port=port, query={"sslmode": "disable"}).render_as_string(hide_password=False)
    finally:
        server.close()


async def test_a_copy_on_a_connection_that_is_ending_is_put_off_quietly(
    database_url: str, pool: Pool, secret_keys: str
) -> None:
    [vehicle] = await add_vehicles(pool, secret_keys, "DEMO")
    told: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    row = StateRow(vehicle, "S", b"1", 0.0, 1, 1, None)
    leaves = asyncio.Event()
    async with saying_farewell(database_url, leaves) as url, await open_pool(url, size=1) as leaving:
        await write_states(leaving, [row])
        leaves.set()
        with pytest.raises(UNAVAILABLE):
            await write_states(leaving, [row])
        assert leaving.get_size() == 0, "the connection is used no more"
    await asyncio.sleep(0)
    gc.collect()
    assert [context for context in told if not is_left_behind(context)] == []
    await write_states(pool, [row])


def test_what_else_nobody_looks_after_is_told() -> None:
    lost = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    assert is_left_behind({"message": "Future exception was never retrieved", "exception": lost})
    assert not is_left_behind({"message": "Future exception was never retrieved", "exception": ValueError()})
    assert not is_left_behind({"message": "Exception in callback", "exception": lost})
    assert not is_left_behind({"message": "Resetting connection with an active transaction"})
