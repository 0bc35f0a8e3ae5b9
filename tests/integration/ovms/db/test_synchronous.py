"""A server that commits only what is on a standby too, and has none: nothing is told as written, however often it is tried.

That a row is there already does not make it so. Who finds it writes nothing, and PostgreSQL lets such a commit pass at once;
that ours waits is owed to the temporary table that it empties.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from fixtures.cars import add_vehicles
from fixtures.replicas import service_port
from fixtures.standby import ALONE, BOTH, RELOAD, Server, execute
from fixtures.waiting import until_told
from ovms.db.engine import Pool, open_pool
from ovms.db.migrate import upgrade
from ovms.db.writer import HistoryRow, write_history

WITHIN = 0.3
FAR = 4_000_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("synchronous"), service_port())
    made.start()
    asyncio.run(upgrade(made.url))
    yield made
    made.stop()


@pytest.fixture
async def pool(server: Server) -> AsyncIterator[Pool]:
    async with await open_pool(server.url, size=2, answer_within=WITHIN) as connections:
        yield connections


async def test_a_record_whose_commit_was_given_up_is_not_taken_for_written(
    server: Server, pool: Pool, secret_keys: str
) -> None:
    [vehicle] = await add_vehicles(pool, secret_keys, "DEMO")
    row = HistoryRow(vehicle, "*-LOG-Test", 1, 1_700_000_000, b"data", FAR, "7")
    await execute(server.url, BOTH, RELOAD)
    await until_told(pool, "SELECT current_setting('synchronous_standby_names') = '*'")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await write_history(pool, [row])
        assert await pool.fetchval("SELECT count(*) FROM history") == 1
    await execute(server.url, ALONE, RELOAD)
    await until_told(pool, "SELECT current_setting('synchronous_standby_names') = ''")
    await write_history(pool, [row])
    assert await pool.fetchval("SELECT count(*) FROM history") == 1
