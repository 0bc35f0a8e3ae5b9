"""Several hosts in one address: whichever takes writes is found soon, whatever the others do."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import pytest

from fixtures.relay import HOST, Relay
from fixtures.waiting import until
from ovms.db.address import AddressError
from ovms.db.dialing import HEAD_START, Dialer, NoServer
from ovms.db.engine import COMMAND_TIMEOUT, UNAVAILABLE, Connection, Pool, open_pool
from ovms.db.keepalive import GONE_AFTER, IDLE
from ovms.db.migrate import Schema, create_engine, read_schema
from ovms.local.ports import free_port

LIMIT = 2.0
"""Well below what a connection may take where somebody waits for a host that is dead."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose sockets have short names."""
    with TemporaryDirectory(prefix="ovms-") as directory:
        yield Path(directory)


@pytest.fixture
def dead(place: Path) -> Iterator[Path]:
    """The directory of a host that neither answers nor refuses."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / ".s.PGSQL.5432"))
        listener.listen()
        yield place


@pytest.fixture
async def port(database_url: str) -> AsyncIterator[int]:
    """A port of this machine that leads to the server."""
    relay = Relay([Path(database_url.partition("?host=")[2], ".s.PGSQL.5432")])
    await relay.start()
    yield relay.port
    await relay.stop()


def beside(url: str, *directories: Path, last: bool = False) -> str:
    """The address of a server, with other hosts before or behind it."""
    start, _, directory = url.partition("?host=")
    others = [str(other) for other in directories]
    return f"{start}?host={','.join([directory, *others] if last else [*others, directory])}"


def over_tcp(url: str, *ports: int) -> str:
    """The same database at ports of this machine."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc}{','.join(f'{HOST}:{port}' for port in ports)}{parts.path}"


async def end(connection: Connection) -> None:
    await connection.close()


async def test_a_host_that_refuses_is_passed_over(database_url: str, place: Path) -> None:
    dialer = Dialer(beside(database_url, place / "none", place / "nobody"))
    await end(await dialer.connect(timeout=LIMIT))


async def test_a_host_that_says_nothing_holds_up_the_next_for_a_moment(database_url: str, dead: Path) -> None:
    dialer = Dialer(beside(database_url, dead))
    await end(await asyncio.wait_for(dialer.connect(timeout=60), LIMIT))


async def test_who_took_writes_last_is_asked_first(database_url: str, dead: Path) -> None:
    dialer = Dialer(beside(database_url, dead))
    await end(await dialer.connect(timeout=60))
    with socket.socket(socket.AF_UNIX) as listener:
        (dead / ".s.PGSQL.5432").unlink()
        listener.bind(str(dead / ".s.PGSQL.5432"))
        listener.listen()
        listener.setblocking(False)
        await end(await dialer.connect(timeout=60))
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_hosts_are_found_over_tcp_too(database_url: str, port: int) -> None:
    # The places of the second are taken by who waits there: nobody else is answered, not even refused.
    with socket.create_server((HOST, 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        url = over_tcp(database_url, free_port(), full.getsockname()[1], port)
        await end(await asyncio.wait_for(Dialer(url).connect(timeout=60), LIMIT))


async def test_where_all_are_away_each_is_told_of(place: Path, dead: Path) -> None:
    dialer = Dialer(f"postgresql://u:hush@/d?host={dead},{place}/none")
    with pytest.raises(NoServer) as failure:
        await dialer.connect(timeout=HEAD_START)
    assert f"{dead}: TimeoutError" in str(failure.value)
    assert f"{place}/none: [Errno 2]" in str(failure.value)
    assert "hush" not in str(failure.value)
    assert isinstance(failure.value, UNAVAILABLE)


async def test_who_gives_up_leaves_no_attempt_behind(dead: Path) -> None:
    dialer = Dialer(f"postgresql://u:p@/d?host={dead},{dead}")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2 * HEAD_START):
            await dialer.connect(timeout=60)
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_a_wrong_password_is_told_rather_than_that_another_is_away(database_url: str, place: Path) -> None:
    wrong = beside(database_url, place / "none", last=True).replace("postgresql://ovms:", "postgresql://ovms:x")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await Dialer(wrong).connect(timeout=LIMIT)


async def test_a_server_that_takes_no_writes_is_none(pool: Pool, database_url: str) -> None:
    database = database_url.partition("?")[0].rpartition("/")[2]
    await pool.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(NoServer, match="it is read-only"):
        await Dialer(beside(database_url, Path(database_url.partition("?host=")[2]))).connect(timeout=LIMIT)


@pytest.mark.parametrize("several", [False, True])
async def test_what_cannot_be_a_host_is_away_and_no_wrong_value(several: bool) -> None:
    """Who writes rows takes a ValueError for a row that is wrong."""
    dialer = Dialer(f"postgresql://u:p@{'a..b,' * several}a..b/d")
    with pytest.raises(UNAVAILABLE) as failure:
        await dialer.connect(timeout=LIMIT)
    assert not isinstance(failure.value, ValueError)


async def test_what_is_no_address_makes_no_pool() -> None:
    with pytest.raises(AddressError):
        await open_pool("postgresql://u:p@a:b/d", size=1)


async def test_migrations_find_it_too(database_url: str, dead: Path) -> None:
    engine = create_engine(beside(database_url, dead))
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM owners")).scalar() == 0
    await engine.dispose()
    assert await read_schema(beside(database_url, dead)) is Schema.CURRENT


async def test_a_pool_drops_what_is_open_to_a_server_that_takes_no_writes_any_more(pool: Pool, database_url: str) -> None:
    async with await open_pool(database_url, size=2) as two:
        async with two.acquire() as one, two.acquire() as other:
            for connection in (one, other):
                await connection.execute("SET default_transaction_read_only = on")
        before = {await two.fetchval("SELECT pg_backend_pid()")}
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as refusal:
            await two.execute("INSERT INTO owners (name, password_hash) VALUES ('demo', 'none')")
        assert isinstance(refusal.value, UNAVAILABLE)
        async with two.acquire() as one, two.acquire() as other:
            for connection in (one, other):
                assert await connection.fetchval("SHOW default_transaction_read_only") == "off"
                assert await connection.fetchval("SELECT pg_backend_pid()") not in before
    assert await pool.fetchval("SELECT count(*) FROM owners") == 0


async def test_a_machine_that_is_gone_is_noticed_before_a_statement_is_given_up(database_url: str, port: int) -> None:
    """No test can take a machine away; the kernel can be asked what it will do."""
    options = {"SO_KEEPALIVE": socket.SOL_SOCKET, "TCP_USER_TIMEOUT": socket.IPPROTO_TCP, "TCP_KEEPIDLE": socket.IPPROTO_TCP}
    async with await open_pool(over_tcp(database_url, port), size=1) as connections, connections.acquire() as connection:
        plug = connection._transport.get_extra_info("socket")
        told = {name: plug.getsockopt(level, getattr(socket, name)) for name, level in options.items()}
    assert told == {"SO_KEEPALIVE": 1, "TCP_USER_TIMEOUT": GONE_AFTER * 1000, "TCP_KEEPIDLE": IDLE}
    assert GONE_AFTER < COMMAND_TIMEOUT
