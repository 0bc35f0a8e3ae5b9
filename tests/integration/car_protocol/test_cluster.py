"""Both services on a Redis Cluster: cars at one replica, apps at another, and HTTP sessions, each vehicle at any node."""

import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api_gateway.settings import Settings as GatewaySettings
from car_protocol.settings import Settings
from fixtures.cars import CarService, add_vehicles, car_service_on
from fixtures.cluster import NODES, Cluster
from fixtures.gateway import hashed, running
from fixtures.waiting import until
from ovms.bus.channels import connections_key
from ovms.db.engine import Pool
from ovms.local.ports import free_port

SIGN_IN = {"username": "demo", "password": "secret"}
NAMES = [f"CAR{number}" for number in range(12)]


@pytest.fixture
async def replicas(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, cluster: Cluster
) -> AsyncIterator[tuple[CarService, CarService]]:
    await add_vehicles(pool, secret_keys, *NAMES)
    assert len({cluster.holder(connections_key(name)) for name in NAMES}) == NODES
    settings = car_settings | {"redis_url": cluster.url}
    here, there = Settings(**settings), Settings(**settings | {"health_port": free_port()})
    async with car_service_on(here, pool) as first, car_service_on(there, pool) as second:
        await until(lambda: first.running.server.replicas.name and second.running.server.replicas.name)
        yield first, second


@pytest.fixture
async def api(
    replicas: tuple[CarService, CarService], pool: Pool, database_url: str, secret_keys: str, cluster: Cluster
) -> AsyncIterator[str]:
    await pool.execute("UPDATE owners SET name = 'demo', password_hash = $1", hashed("secret"))
    settings = GatewaySettings(database_url=database_url, redis_url=cluster.url, secret_keys=secret_keys)
    async with running(settings, io.BytesIO()) as port:
        yield f"http://127.0.0.1:{port}"


async def test_everybody_meets_whichever_node_a_vehicle_is_at(replicas: tuple[CarService, CarService], api: str) -> None:
    here, there = replicas
    async with httpx.AsyncClient(base_url=api, timeout=20) as client:
        assert (await client.get("/api/cookie", params=SIGN_IN)).status_code == 200
        for name in NAMES:
            car = await here.car(name)
            await car.until_hears(b"Z0")
            app = await there.app(name)
            await app.until_hears(b"Z1")
            await car.until_hears(b"Z1")
            car.send(b"S75.5,K")
            await app.until_hears(b"S75.5,K")
            app.send(b"C7,stat")
            await car.until_hears(b"C7,stat")
            car.send(b"c7,0,well")
            await app.until_hears(b"c7,0,well")
            assert (await client.get(f"/api/vehicle/{name}")).json()["v_apps_connected"] == 2
            await car.until_hears(b"Z2")
        counted = {one["id"]: one["v_net_connected"] for one in (await client.get("/api/vehicles")).json()}
        assert counted == dict.fromkeys(NAMES, 1)
        assert (await client.delete("/api/cookie")).status_code == 200
    newer = await there.car(NAMES[0])
    await here.peers[0].closed()
    await newer.until_hears(b"Z1")
