"""What a car has said but PostgreSQL does not have yet is told to those who begin to listen."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from car_protocol.settings import Settings
from fixtures.cars import CarService, add_vehicles, car_service_on, car_settings
from fixtures.gateway import OWNERS, Gateway
from fixtures.streams import reading
from fixtures.waiting import until

__all__ = ["car_settings"]


@pytest.fixture
async def service(gateway: Gateway, car_settings: dict[str, Any], secret_keys: str) -> AsyncIterator[CarService]:
    """A running car-protocol; the vehicle CAR is one of `demo`."""
    await add_vehicles(gateway.pool, secret_keys, "CAR")
    await gateway.pool.execute(
        "UPDATE vehicles SET owner_id = (SELECT id FROM owners WHERE name = 'demo') WHERE vehicle_id = 'CAR'"
    )
    async with car_service_on(Settings(**car_settings), gateway.pool) as service:
        yield service


@pytest.mark.parametrize("is_gone", [False, True])
async def test_it_is_asked_of_where_the_car_is_or_was(gateway: Gateway, service: CarService, is_gone: bool) -> None:
    car = await service.car("CAR")
    car.send(b"Fbefore", b"S10,K")
    await car.drain()
    await service.written()
    async with gateway.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE messages IN SHARE MODE")  # it can be read, but not written
        car.send(b"S20,K", b"ETkey", b"EMDsealed")
        await car.drain()
        if is_gone:
            car.close()
            await until(lambda: not service.running.server.connections)
        async with (
            gateway.client(auth=("demo", OWNERS["demo"][0])) as client,
            reading(client, "/api/v1/vehicles/CAR/events") as stream,
        ):
            assert (await stream.until("state", code="S"))["values"]["soc"] == 20.0
            assert (await stream.until("state", code="F"))["values"]["version"] == "before"
            assert (await stream.until("state", code="D"))["sealed"]
