"""Which vehicles somebody reaches, asked of a real PostgreSQL."""

import pytest

from fixtures.gateway import provision
from ovms.db.accounts import find_account
from ovms.db.engine import Pool
from ovms.db.reach import Reached, find_reached, list_reached


@pytest.fixture
async def owners(pool: Pool) -> tuple[int, int]:
    """The keys of two owners, `demo` and `other`, with two vehicles each."""
    await provision(pool)
    demo, other = await find_account(pool, "demo"), await find_account(pool, "other")
    assert demo
    assert other
    return demo.owner_id, other.owner_id


async def share(pool: Pool, vehicle_id: str, owner_id: int, permit: str, until: str = "NULL") -> None:
    await pool.execute(
        f"INSERT INTO shares (vehicle, owner_id, permit, expires_at) SELECT id, $2, $3, {until} FROM vehicles"
        " WHERE vehicle_id = $1",
        vehicle_id,
        owner_id,
        permit,
    )


async def test_ones_own(pool: Pool, owners: tuple[int, int]) -> None:
    demo, _ = owners
    found = await find_reached(pool, demo, "sECOND")
    assert found is not None
    assert found == Reached(found.key, "Second", demo, "demo", "*")
    assert await find_reached(pool, demo, "OTHER1") is None
    assert await find_reached(pool, demo, "NOBODYS") is None
    assert [one.vehicle_id for one in await list_reached(pool, demo)] == ["DEMO", "Second"]


async def test_what_is_shared(pool: Pool, owners: tuple[int, int]) -> None:
    demo, other = owners
    await share(pool, "OTHER1", demo, "read,location")
    found = await find_reached(pool, demo, "other1")
    assert found is not None
    assert found == Reached(found.key, "OTHER1", other, "other", "read,location")
    assert [(one.vehicle_id, one.permit) for one in await list_reached(pool, demo)] == [
        ("DEMO", "*"),
        ("OTHER1", "read,location"),
        ("Second", "*"),
    ]
    assert [one.vehicle_id for one in await list_reached(pool, other)] == ["OTHER1", "OTHER2"]


async def test_a_share_ends(pool: Pool, owners: tuple[int, int]) -> None:
    demo, _ = owners
    await share(pool, "OTHER1", demo, "read", "now() - interval '1 second'")
    await share(pool, "OTHER2", demo, "read", "now() + interval '1 hour'")
    assert await find_reached(pool, demo, "OTHER1") is None
    assert [one.vehicle_id for one in await list_reached(pool, demo)] == ["DEMO", "OTHER2", "Second"]


async def test_some_alone(pool: Pool, owners: tuple[int, int]) -> None:
    demo, _ = owners
    await share(pool, "OTHER1", demo, "read")
    found = await list_reached(pool, demo, frozenset({"SECOND", "OTHER1", "OTHER2"}))
    assert [one.vehicle_id for one in found] == ["OTHER1", "Second"]
    assert await list_reached(pool, demo, frozenset()) == []
