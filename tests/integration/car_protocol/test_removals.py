"""Vehicles that are removed while somebody is connected to them."""

import asyncio

from car_protocol.storage.removals import EVERY, Removals
from fixtures.cars import CarService
from ovms.bus import removals as bus
from ovms.bus.channels import REMOVALS
from ovms.db.engine import Pool
from ovms.db.vehicles import remove_vehicles
from ovms.identity import Role


async def test_who_is_connected_to_a_removed_vehicle_is_let_go(car_service: CarService, pool: Pool) -> None:
    removals = Removals(pool, car_service.running.server.hub)  # steps of the service's own come every ten seconds
    car, app, batch = await car_service.scene("DEMO")
    other = await car_service.car("Other-1")
    car.send(b"S75")
    await car_service.written()
    await removals.step()
    key = await pool.fetchval("SELECT id FROM vehicles WHERE vehicle_id = 'DEMO'")
    async with pool.acquire() as connection, connection.transaction():
        await remove_vehicles(connection, [(key, "DEMO")])
    await removals.step()
    for peer in (car, app, batch):
        await peer.closed()
    assert [room.vehicle_id for room in car_service.running.server.hub] == ["Other-1"]
    await pool.execute(
        "INSERT INTO history (vehicle, record_type, record_number, recorded_at, data, expires_at)"
        " VALUES ($1, 'X', 1, now(), 'written too late', now() + interval '1 day')",
        key,
    )
    await removals.step()
    assert await pool.fetchval("SELECT count(*) FROM history") == 0
    other.send(b"A")
    await other.until_hears(b"a")
    again = await car_service.connect(Role.CAR, "DEMO")
    await again.closed()


async def test_the_sessions_of_a_vehicle_end_at_once_where_its_removal_is_published(
    car_service: CarService, pool: Pool
) -> None:
    peers = await car_service.scene("DEMO")
    other = await car_service.car("Other-1")
    key = await pool.fetchval("SELECT id FROM vehicles WHERE vehicle_id = 'DEMO'")
    published = bus.Removals(car_service.redis)
    await published.publish([key])  # a removal that PostgreSQL does not know ends nothing
    await car_service.redis.publish(REMOVALS, b"removed x")
    async with pool.acquire() as connection, connection.transaction():
        await remove_vehicles(connection, [(key, "DEMO")])
    began = asyncio.get_running_loop().time()
    await published.publish([key])
    for peer in peers:
        await peer.closed()
    assert asyncio.get_running_loop().time() - began < EVERY / 2
    other.send(b"A")
    await other.until_hears(b"a")
