"""A vehicle id that is given to another owner while the former vehicle's car is still connected."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import redis.asyncio

from api_gateway.commands.resource import announcement
from car_protocol.settings import Settings
from car_protocol.storage import removals
from fixtures.cars import DEADLINE, CarService, Peer, add_vehicles, car_service_on
from fixtures.gateway import Gateway
from fixtures.names import name_of
from fixtures.streams import reading
from fixtures.waiting import until
from ovms.bus.channels import commands_channel, messages_channel, peers_channel
from ovms.db import commands as rows
from ovms.db.vehicles import remove_vehicles
from ovms.identity import VehicleName
from ovms.local.ports import free_port

CAR = "/api/v1/vehicles/CAR"


@asynccontextmanager
async def published(client: redis.asyncio.Redis) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Keeps channel and body of all that is published of vehicles whose id is CAR."""
    async with client.pubsub() as pubsub:
        await pubsub.psubscribe("ovms:{CAR}:*")
        assert await pubsub.get_message(timeout=DEADLINE)
        received: list[tuple[str, bytes]] = []

        async def receive() -> None:
            async for event in pubsub.listen():
                received.append((event["channel"].decode(), event["data"]))  # noqa: PERF401  while it goes on

        task = asyncio.create_task(receive())
        try:
            yield received
        finally:
            task.cancel()
            await asyncio.wait([task])


async def give_away(gateway: Gateway, secret_keys: str, former: VehicleName) -> VehicleName:
    """Remove demo's CAR where no replica notices it, and give its id to the owner `other`."""
    async with gateway.pool.acquire() as connection, connection.transaction():
        await remove_vehicles(connection, [(former.number, former.vehicle_id)])
    await add_vehicles(gateway.pool, secret_keys, "CAR")
    await gateway.pool.execute(
        "UPDATE vehicles SET owner_id = (SELECT id FROM owners WHERE name = 'other') WHERE vehicle_id = 'CAR'"
    )
    return await name_of(gateway.pool, "CAR")


@pytest.fixture
def unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No replica of car-protocol notices that a vehicle was removed."""

    async def find_none(*_: object) -> list[int]:
        return []

    monkeypatch.setattr(removals, "find_removed", find_none)


@pytest.mark.usefixtures("unnoticed")
async def test_nothing_of_the_former_vehicle_reaches_the_next_one_with_its_id(
    gateway: Gateway, service: CarService, car: Peer, owner: httpx.AsyncClient, car_settings: dict[str, Any], secret_keys: str
) -> None:
    former = await name_of(gateway.pool, "CAR")
    former_app, leaves = await service.app("CAR"), await service.app("CAR")
    assert (await owner.get("/api/vehicle/CAR")).status_code == 200
    asked = await owner.post(f"{CAR}/commands", json={"kind": "lock"})
    await car.until_hears(b"C20,")
    command = await rows.find(gateway.pool, asked.json()["id"])
    assert command is not None
    await former_app.drain()

    now = await give_away(gateway, secret_keys, former)
    assert now.number != former.number
    elsewhere = Settings(**car_settings | {"health_port": free_port()})
    async with (
        await gateway.signed_in("other") as other,
        car_service_on(elsewhere, gateway.pool) as there,
        published(gateway.redis) as received,
        reading(other, f"{CAR}/events") as stream,
    ):
        app = await there.app("CAR")
        assert await stream.until("presence", apps=1) == {
            "vehicle": "CAR",
            "connected": False,
            "apps": 1,
            "batch_clients": 0,
        }
        # What the former car says, who is connected to it, a command of its owner's, and its owner's HTTP session.
        car.send(b"S99,K", b"PAformer")
        leaves.close()
        await gateway.redis.publish(commands_channel(command.name), orjson.dumps(announcement(command)))
        assert (await owner.get("/api/vehicle/DEMO")).status_code == 200
        channels = {make(former) for make in (messages_channel, peers_channel, commands_channel)}
        await until(
            lambda: any(channel == messages_channel(former) and body.endswith(b" PAformer") for channel, body in received),
            DEADLINE,
        )
        await until(lambda: channels <= {channel for channel, _ in received}, DEADLINE)

        # A command of the new owner's finds no car.
        told = await other.post(f"{CAR}/commands", json={"kind": "wake_up"})
        assert (told.status_code, told.json()["type"]) == (409, "/api/v1/problems/vehicle-not-connected")
        listed = (await other.get(CAR)).json()
        assert (listed["connected"], listed["apps"], listed["batch_clients"]) == (False, 1, 0)

        # Redis delivers in order: what comes before this is all that subscribers receive of the above.
        new_car = await there.car("CAR")
        new_car.send(b"S50,K", b"PAnext")
        received_by_app = await app.until_hears(b"PAnext")
        events = [await stream.next()]
        while events[-1] is not None and events[-1].kind != "notification":
            events.append(await stream.next())
        assert {message for message in received_by_app if message[:1] in b"SP"} == {b"S50,K"}
        assert events[-1].data["text"] == "next"
        assert "command" not in {event.kind for event in events}
        assert [event.data["values"]["soc"] for event in events if event.kind == "state"] == [50]
        assert {event.data["apps"] for event in events if event.kind == "presence"} == {1}
        # The former car keeps its session, and its app receives nothing of the new one.
        assert not {b"S50,K", b"PAnext", b"Z0"}.intersection([*await former_app.drain(), *await car.drain()])
