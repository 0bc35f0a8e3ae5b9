"""Bytes carried, on a real PostgreSQL."""

from datetime import date

import pytest

from ovms.db.engine import Pool
from ovms.db.traffic import RECORD_TYPE, Day, add_traffic, read_traffic
from ovms.db.writer import HistoryRow, write_history

DAY = 86_400
FIRST = 20_000 * DAY


@pytest.fixture
async def vehicle(pool: Pool) -> int:
    owner = await pool.fetchval("INSERT INTO owners (name, password_hash) VALUES ('o', '') RETURNING id")
    made = "INSERT INTO vehicles (owner_id, vehicle_id, password, password_key_id) VALUES ($1, 'V', '', '') RETURNING id"
    return int(await pool.fetchval(made, owner))


async def test_sums_of_a_day_add_up_and_the_newest_day_comes_first(pool: Pool, vehicle: int) -> None:
    await add_traffic(pool, [(vehicle, FIRST, 0, 10), (vehicle, FIRST, 1, 20)], days=90)
    await add_traffic(pool, [(vehicle, FIRST, 0, 5), (vehicle, FIRST + DAY, 3, 7)], days=90)
    assert await read_traffic(pool, vehicle, days=90) == [
        Day(date(2024, 10, 5), 0, 0, 0, 7),
        Day(date(2024, 10, 4), 15, 20, 0, 0),
    ]
    assert len(await read_traffic(pool, vehicle, days=1)) == 1


async def test_a_vehicle_that_has_gone_leaves_nothing(pool: Pool, vehicle: int) -> None:
    await add_traffic(pool, [(vehicle + 1, FIRST, 0, 10)], days=90)
    assert await read_traffic(pool, vehicle + 1, days=90) == []


async def test_a_vehicle_without_traffic_has_no_days(pool: Pool, vehicle: int) -> None:
    assert await read_traffic(pool, vehicle, days=90) == []


@pytest.mark.parametrize("data", [b"", b"garbage", b"\xff\x00", b"-1", b"1.5", b" 7", b"9" * 19])
async def test_what_a_car_has_put_in_the_place_of_a_sum_counts_nothing_and_holds_nobody_up(
    pool: Pool, vehicle: int, data: bytes
) -> None:
    """A car may send records of any type, of this one too."""
    await write_history(pool, [HistoryRow(vehicle, RECORD_TYPE, number, DAY, data, DAY + 86_400, None) for number in (0, 1)])
    await add_traffic(pool, [(vehicle, DAY, 0, 5), (vehicle, DAY, 2, 7)], days=90)
    [day] = await read_traffic(pool, vehicle, days=90)
    assert (day.car_received, day.car_sent, day.apps_received, day.apps_sent) == (5, 0, 7, 0)
