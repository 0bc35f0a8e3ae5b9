"""The trail of who did what, in a real PostgreSQL."""

from fixtures.gateway import provision
from ovms.db.accounts import find_account
from ovms.db.audit import NEWEST, end_trail, read_trail, record
from ovms.db.engine import Pool


async def owner_id(pool: Pool, name: str) -> int:
    account = await find_account(pool, name)
    assert account
    return account.owner_id


async def test_entries_come_newest_first_and_to_their_owner_alone(pool: Pool) -> None:
    await provision(pool)
    demo, other = await owner_id(pool, "demo"), await owner_id(pool, "other")
    for number in range(3):
        await record(pool, demo, actor="other", means="password", action="command", vehicle_id="DEMO", detail={"kind": number})
    await record(pool, other, actor="other", means="token 0123456789abcdef", action="token.create")

    first = await read_trail(pool, demo, NEWEST, 2)
    assert [entry.detail for entry in first] == [{"kind": 2}, {"kind": 1}]
    assert [entry.detail for entry in await read_trail(pool, demo, first[-1].id, 2)] == [{"kind": 0}]
    (entry,) = await read_trail(pool, other, NEWEST, 10)
    assert (entry.actor, entry.means, entry.action) == ("other", "token 0123456789abcdef", "token.create")
    assert (entry.vehicle_id, entry.detail) == (None, {})
    assert entry.at.tzinfo is not None


async def test_nothing_is_kept_of_an_owner_who_has_gone(pool: Pool) -> None:
    await record(pool, 4711, actor="x", means="password", action="account.erase")
    assert await pool.fetchval("SELECT count(*) FROM audit") == 0


async def test_it_ends_with_the_transaction_that_it_is_of(pool: Pool) -> None:
    await provision(pool)
    demo = await owner_id(pool, "demo")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, demo, actor="demo", means="password", action="password.change")
        await transaction.rollback()
    assert await read_trail(pool, demo, NEWEST, 10) == []


async def test_what_is_old_is_forgotten(pool: Pool) -> None:
    await provision(pool)
    demo = await owner_id(pool, "demo")
    for _ in range(3):
        await record(pool, demo, actor="demo", means="password", action="old")
    await pool.execute("UPDATE audit SET at = now() - interval '31 days'")
    await record(pool, demo, actor="demo", means="password", action="new")
    assert [await end_trail(pool, 30, limit=2) for _ in range(3)] == [2, 1, 0]
    assert [entry.action for entry in await read_trail(pool, demo, NEWEST, 10)] == ["new"]
