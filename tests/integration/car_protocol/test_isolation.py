"""Cars and apps of many vehicles come and go; nobody ever hears of another's vehicle."""

import asyncio
import random

from fixtures.cars import CarService, Peer, add_vehicles
from ovms.db.engine import Pool

VEHICLES = [f"CAR{number}" for number in range(12)]
LIVES = 6


def own(peer: Peer, vehicle_id: str) -> list[bytes]:
    """What it has heard, all of it about its own vehicle."""
    told = [message for message in peer.heard if message[:1] not in b"ZTa"]
    assert all(vehicle_id.encode() in message.split(b",") for message in told), (vehicle_id, told)
    return told


async def drive(service: CarService, vehicle_id: str, chance: random.Random) -> None:
    """A car that logs in again and again, and says its name in everything."""
    for life in range(LIVES):
        car = await service.car(vehicle_id)
        for number in range(chance.randrange(5, 20)):
            code = chance.choice("SDLWx")
            car.send(f"{code}{life},{number},{vehicle_id},".encode(), f"PA,{vehicle_id},".encode())
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        await car.drain()
        own(car, vehicle_id)
        if chance.random() < 0.7:
            car.close()


async def watch(service: CarService, vehicle_id: str, chance: random.Random) -> None:
    """Apps and batch clients that come and go."""
    for _ in range(LIVES * 2):
        watcher = await (service.app if chance.random() < 0.7 else service.batch)(vehicle_id)
        for number in range(chance.randrange(4)):
            watcher.send(f"q{number},{vehicle_id},".encode())
            await watcher.drain()
        own(watcher, vehicle_id)
        watcher.close()


async def test_nobody_hears_of_another_vehicle(car_service: CarService, pool: Pool, secret_keys: str) -> None:
    await add_vehicles(pool, secret_keys, *VEHICLES)
    chance = random.Random(6867)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for vehicle_id in VEHICLES:
            tasks.create_task(drive(car_service, vehicle_id, random.Random(chance.random())))
            tasks.create_task(watch(car_service, vehicle_id, random.Random(chance.random())))
    await car_service.written()
    for vehicle_id in VEHICLES:
        states = await car_service.states(vehicle_id)
        assert states
        assert all(vehicle_id.encode() in data.split(b",") for data in states.values())
        greeted = await car_service.app(vehicle_id)
        greeting = await greeted.take(len(states) + 2)
        assert [message[:1] for message in (greeting[0], greeting[-1])] == [b"Z", b"T"]
        assert all(vehicle_id.encode() in message.split(b",") for message in greeting[1:-1])
