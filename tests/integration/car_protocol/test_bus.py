"""What other programs hear on Redis: status messages and peer counts; and HTTP sessions, which count as apps."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio

from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, CarService, add_vehicles, car_service_on
from fixtures.names import DEMO, name_of
from fixtures.waiting import until
from ovms.bus.messages import read_message
from ovms.bus.presence import Peers, Presence
from ovms.db.engine import Pool
from ovms.identity import VehicleName
from ovms.local.valkey import Valkey


class Subscriber:
    """Keeps what is published on a channel."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def take(self, count: int) -> list[bytes]:
        await until(lambda: len(self.heard) >= count, DEADLINE)
        taken, self.heard[:count] = self.heard[:count], []
        return taken


@contextlib.asynccontextmanager
async def subscribed(client: redis.asyncio.Redis, channel: str) -> AsyncIterator[Subscriber]:
    """A subscriber that is already heard."""
    subscriber, is_ready = Subscriber(), asyncio.Event()
    pubsub = client.pubsub()

    async def listen() -> None:
        await pubsub.subscribe(channel)
        async for event in pubsub.listen():
            if event["type"] == "message":
                subscriber.heard.append(event["data"])
            else:
                is_ready.set()

    task = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(DEADLINE):
            await is_ready.wait()
        yield subscriber
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.1)
        await pubsub.aclose()


async def counts_are(service: CarService, vehicle_id: str, expected: Peers) -> None:
    """Wait for the counts of a vehicle."""
    async with asyncio.timeout(DEADLINE):
        while (await service.presence.counts([await name_of(service.pool, vehicle_id)])) != [expected]:
            pass


async def test_status_messages_and_notifications_are_published_as_apps_get_them(car_service: CarService) -> None:
    async with subscribed(car_service.redis, "ovms:{DEMO}:1:messages") as subscriber:
        car = await car_service.car()
        car.send(b"S75.5,K", b"L22.27,114.18", b"PAalert", b"x\x00\xff\r", b"A", b"H*-LOG-Grid,1,86400,data", b"Fend")
        bodies = [read_message(body) for body in await subscriber.take(5)]
        assert [message for _, message in bodies] == [b"S75.5,K", b"L22.27,114.18", b"PAalert", b"x\x00\xff\r", b"Fend"]
        [room] = car_service.running.server.hub
        assert [version for version, _ in bodies] == [(room.epoch, number) for number in range(1, 6)]
    assert car_service.running.server.publisher.published == 5


async def test_other_vehicles_have_other_channels(car_service: CarService) -> None:
    async with subscribed(car_service.redis, "ovms:{OTHER-1}:2:messages") as subscriber:
        car, other = await car_service.car(), await car_service.car("Other-1")
        car.send(b"S1")
        await car.drain()
        other.send(b"S2")
        assert [read_message(body)[1] for body in await subscriber.take(1)] == [b"S2"]
        assert subscriber.heard == []


async def test_peer_counts_are_published_at_every_change(car_service: CarService) -> None:
    async with subscribed(car_service.redis, "ovms:{DEMO}:1:peers") as subscriber:

        async def told(car: int, apps: int, batch: int) -> None:
            expected = {"vehicle": "DEMO", "car": car, "apps": apps, "batch": batch, "http": 0, "http_until": 0}
            async with asyncio.timeout(DEADLINE):
                while True:
                    body = json.loads((await subscriber.take(1))[0])
                    session, replicas, _ = body.pop("session"), body.pop("replicas"), body.pop("at")
                    if body == expected:
                        break
            assert (session > 0) == car
            assert list(replicas.values()) == ([[session, apps, batch]] if session or apps or batch else [])

        car = await car_service.car("demo")
        await told(1, 0, 0)
        app = await car_service.app()
        await told(1, 1, 0)
        batch = await car_service.batch()
        await told(1, 1, 1)
        car.close()
        await told(0, 1, 1)
        app.close()
        batch.close()
        await told(0, 0, 0)


async def test_the_counts_are_those_of_all_who_are_connected(car_service: CarService) -> None:
    await car_service.scene()
    await car_service.app("other-1")
    await counts_are(car_service, "demo", Peers(car=1, apps=1, batch=1, http=0))
    await counts_are(car_service, "Other-1", Peers(car=0, apps=1, batch=0, http=0))
    for peer in car_service.peers:
        peer.close()
    await counts_are(car_service, "DEMO", Peers(0, 0, 0, 0))


# ---- HTTP sessions


async def test_an_http_session_counts_as_an_app_until_it_disconnects(car_service: CarService) -> None:
    car = await car_service.car()
    await car.hears(b"Z0")
    await counts_are(car_service, "DEMO", Peers(1, 0, 0, 0))
    connected = await car_service.presence.connect(DEMO, "session", 60)
    assert (connected.peers, connected.first) == (Peers(1, 1, 0, 1), True)
    await car.hears(b"Z1")
    app = await car_service.app()
    await car.hears(b"Z2")
    assert not (await car_service.presence.connect(DEMO, "session", 60)).first
    await car_service.presence.disconnect(DEMO, "session")
    await car.hears(b"Z1")
    app.close()
    await car.hears(b"Z0")


async def test_a_car_that_comes_later_is_told_of_http_sessions_at_once(car_service: CarService) -> None:
    await car_service.presence.connect(DEMO, "one", 60)
    await car_service.presence.connect(DEMO, "two", 60)
    car = await car_service.car()
    await car.hears(b"Z2")
    await car_service.presence.disconnect(DEMO, "one")
    await car.hears(b"Z1")


async def test_the_end_of_an_http_session_tells_the_car(car_service: CarService) -> None:
    car = await car_service.car()
    await car.hears(b"Z0")
    await car_service.presence.connect(DEMO, "short", 1.0)
    await car_service.presence.connect(DEMO, "long", 60)
    await car.until_hears(b"Z2")
    await car.hears(b"Z1")


# ---- a service that has ended


async def test_a_service_that_stops_takes_its_peers_out_of_the_counts(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, redis_url: str
) -> None:
    await add_vehicles(pool, secret_keys, "DEMO")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        async with car_service_on(Settings(**car_settings), pool) as service:
            await service.car()
            await service.app()
            await counts_are(service, "DEMO", Peers(1, 1, 0, 0))
        assert await Presence(client).counts([DEMO]) == [Peers(0, 0, 0, 0)]
        assert await client.zcard("ovms:replicas") == 0


# ---- Redis away


async def test_without_redis_local_watchers_hear_and_logins_go_on_and_the_counts_come_back(
    lonely_service: tuple[CarService, Valkey],
) -> None:
    service, valkey = lonely_service
    car, app, _ = await service.scene()
    valkey.kill()
    car.send(b"S1", b"PAalert")
    await app.hears(b"S1", b"T0", b"PAalert")
    second = await service.app()
    await second.hears(b"Z1", b"S1", b"T*")
    await car.until_hears(b"Z2")
    other = await service.car("Other-1")
    await other.hears(b"Z0")
    other.send(b"S2", b"A")
    await other.hears(b"a")
    await service.written()
    assert await service.states("Other-1") == {"S": b"2"}

    valkey.start()
    await counts_are(service, "DEMO", Peers(car=1, apps=2, batch=1, http=0))
    await counts_are(service, "OTHER-1", Peers(car=1, apps=0, batch=0, http=0))
    await service.presence.connect(DEMO, "session", 60)
    await car.hears(b"Z3")
    await service.presence.connect(VehicleName("OTHER-1", 2), "session", 60)
    await other.hears(b"Z1")
    async with subscribed(service.redis, "ovms:{DEMO}:1:messages") as subscriber:
        # What is published while the connection is found to be dead is dropped: once a day, not for ever.
        async with asyncio.timeout(DEADLINE):
            while not subscriber.heard:
                car.send(b"D1")
                await app.until_hears(b"T0")
