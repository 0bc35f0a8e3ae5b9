"""What a car has said but PostgreSQL does not have yet is told to those who begin to listen."""

from typing import Any

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
            states: dict[str, Any] = {}
            while states.keys() != {"S", "F", "D"}:
                state = await stream.until("state")
                states[state["code"]] = state
            assert states["S"]["values"]["soc"] == 20.0
            assert states["F"]["values"]["version"] == "before"
            assert states["D"]["sealed"]
