"""What a car has said but PostgreSQL does not have yet is told to those who begin to listen."""

import pytest

from fixtures.cars import CarService
from fixtures.gateway import OWNERS, Gateway
from fixtures.streams import reading
from fixtures.waiting import until


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
