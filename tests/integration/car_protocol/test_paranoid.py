"""Paranoid mode over TCP and PostgreSQL: what greets an app while keys change, in the recorder or out of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fixtures.cars import DEADLINE, CarService
from fixtures.waiting import until
from ovms.db.engine import Pool


@asynccontextmanager
async def nothing_is_written(pool: Pool) -> AsyncIterator[None]:
    """What cars send waits meanwhile; what is stored can be read."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE messages IN EXCLUSIVE MODE")
        yield


async def greeting(service: CarService) -> list[bytes]:
    """What greets another app."""
    app = await service.app()
    messages = [message for message in await app.drain() if not message.startswith((b"Z", b"T"))]
    app.close()
    await until(lambda: len(service.running.server.connections) == 1)
    return messages


async def stored(pool: Pool) -> dict[str, tuple[bytes, bool]]:
    rows = await pool.fetch("SELECT code, data, valid FROM messages")
    return {row["code"]: (row["data"], row["valid"]) for row in rows}


async def until_written(pool: Pool, expected: dict[str, tuple[bytes, bool]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while await stored(pool) != expected:
            pass


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_new_key_ends_what_was_sealed_with_others(car_service: CarService, pool: Pool, is_written: bool) -> None:
    car = await car_service.car()
    car.send(b"Fclear", b"Sclear", b"ETone", b"EMSb25l", b"EMDb25l", b"EMSb25lMg")
    await car.drain()
    if is_written:
        await car_service.written()
    assert await greeting(car_service) == [b"Fclear", b"ETone", b"EMSb25lMg", b"EMDb25l"]
    car.send(b"ETtwo", b"EMDdHdv")
    await car.drain()
    if is_written:
        await car_service.written()
    assert await greeting(car_service) == [b"Fclear", b"ETtwo", b"EMDdHdv"]
    await car_service.written()
    await until_written(pool, {"F": (b"clear", True), "S": (b"b25lMg", False), "D": (b"dHdv", True)})


async def test_a_key_that_cannot_be_written_yet_counts_at_once(car_service: CarService, pool: Pool) -> None:
    car = await car_service.car()
    car.send(b"Fclear", b"Sclear", b"ETone", b"EMDb25l")
    await car_service.written()
    await until_written(pool, {"F": (b"clear", True), "S": (b"clear", True), "D": (b"b25l", True)})
    async with nothing_is_written(pool):
        car.send(b"EMSb25l")
        await car.drain()
        assert await greeting(car_service) == [b"Fclear", b"ETone", b"EMSb25l", b"EMDb25l"]
        car.send(b"ETtwo")
        await car.drain()
        # Neither what only the former key opens, nor the older one in clear that it had replaced.
        assert await greeting(car_service) == [b"Fclear"]
        car.send(b"EMLdHdv")
        await car.drain()
        assert await greeting(car_service) == [b"Fclear", b"ETtwo", b"EMLdHdv"]
    expected = {"F": (b"clear", True), "S": (b"b25l", False), "D": (b"b25l", False), "L": (b"dHdv", True)}
    await until_written(pool, expected)
    assert await greeting(car_service) == [b"Fclear", b"ETtwo", b"EMLdHdv"]
    assert await pool.fetchval("SELECT paranoid_token FROM vehicles WHERE vehicle_id = 'DEMO'") == "two"
