"""A store that answers and cannot write: cars stay and log in, nothing that they send is lost, and it is written later."""

import pytest
import redis.asyncio

from fixtures.cars import DEADLINE, CarService
from fixtures.outages import FAULTS, unwritable
from fixtures.visitors import becomes
from fixtures.waiting import until
from ovms.bus.presence import Peers
from ovms.db.engine import Pool
from ovms.identity import VehicleName

RECORD = b"h%d,0,*-LOG-Trip,%d,86400,data"


@pytest.mark.parametrize("fault", FAULTS)
async def test_postgresql_cannot_write(car_service: CarService, pool: Pool, fault: str) -> None:
    car, app, _ = await car_service.scene()
    async with unwritable(pool, fault):
        car.send(b"S1", RECORD % (1, 1), b"PIhello")
        await app.until_hears(b"S1")
        await until(lambda: car_service.running.server.recorder.failures >= 1, DEADLINE)
        other = await car_service.car("Other-1")
        other.send(b"S2", RECORD % (2, 2))
        await other.drain()
        assert b"h1" not in await car.drain(), "what is not committed is not acknowledged"
    await car.until_hears(b"h1")
    await other.until_hears(b"h2")
    await car_service.written()
    assert (await car_service.states(), await car_service.states("Other-1")) == ({"S": b"1"}, {"S": b"2"})
    records = {(record_type, data) for record_type, _, data in await car_service.history()}
    assert records == {("*-LOG-Trip", b"data"), ("*-Log-Notification", b"I,hello")}
    assert car_service.running.server.recorder.rows_refused == 0


async def test_redis_is_full(car_service: CarService) -> None:
    car, app, _ = await car_service.scene()
    async with car_service.redis.client() as client:
        await fill(client)
        try:
            with pytest.raises(redis.asyncio.RedisError):
                await client.set("more", "1")
            car.send(b"S1", RECORD % (1, 1))
            await app.until_hears(b"S1")
            await car.until_hears(b"h1")
            other = await car_service.car("Other-1")
            other.send(b"S2", RECORD % (2, 2))
            await other.until_hears(b"h2")
            lonely = await car_service.app("Other-1")
            await lonely.until_hears(b"S2")
            app.send(b"C7,lock")
            await car.until_hears(b"C7,lock")
        finally:
            await client.config_set("maxmemory", 0)
    await car_service.written()
    assert (await car_service.states(), await car_service.states("Other-1")) == ({"S": b"1"}, {"S": b"2"})

    connected = Peers(car=1, apps=1, batch=0, http=0)
    await becomes(lambda: car_service.presence.counts([VehicleName("Other-1", 2)]), [connected], DEADLINE)
    assert not any(peer.is_closed for peer in (car, app, other, lonely))


async def fill(client: redis.asyncio.Redis) -> None:
    """Let no command that takes memory succeed."""
    await client.config_set("maxmemory-policy", "noeviction")
    await client.config_set("maxmemory", "1")
