"""All that two replicas publish is declared, and all that is declared of this service is published."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import redis.asyncio

from car_protocol.settings import Settings
from fixtures.bodies import kind_of
from fixtures.cars import DEADLINE, CarService, add_vehicles, car_service_on
from fixtures.waiting import until
from ovms.bus.declaration import Service
from ovms.bus.interface import CHANNELS, GROUP, MESSAGES, PEERS, REPLICA, TRACES
from ovms.db.engine import Pool
from ovms.identity import VehicleName
from ovms.local.ports import free_port

PUBLISHED = [channel for channel in CHANNELS if Service.CAR_PROTOCOL in channel.publishers and channel is not TRACES]
"""All but what is published only where traces are wanted, which has tests of its own."""
SAID: Final = [(MESSAGES.name, body.name) for body in MESSAGES.bodies if body.name != "position"]
"""What a messages channel carries where nothing is dropped."""


class Listener:
    """Hears channels of all kinds, and keeps what kinds of bodies were published on each."""

    def __init__(self, pubsub: redis.asyncio.client.PubSub) -> None:
        self._pubsub = pubsub
        self.kinds: dict[str, set[str]] = defaultdict(set)
        self.bodies: list[bytes] = []

    async def until_heard(self, *wanted: tuple[str, str]) -> None:
        """Wait for bodies of these kinds: channel and body, as they are declared."""
        try:
            async with asyncio.timeout(DEADLINE):
                while missing := [(channel, body) for channel, body in wanted if body not in self.kinds[channel]]:
                    await self._hear()
        except TimeoutError:
            raise AssertionError(f"not published: {missing}") from None

    async def _hear(self) -> None:
        event = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=DEADLINE)
        assert event is not None
        [channel] = [one for one in CHANNELS if _belongs(event["channel"].decode(), one.address)]
        self.kinds[channel.name].add(kind_of(channel, event["data"]))
        self.bodies.append(event["data"])


def _belongs(name: str, address: str) -> bool:
    parts = re.split(r"\{\{vehicle\}\}:\{number\}|\{replica\}|\{group\}", address)
    return re.fullmatch(".*".join(map(re.escape, parts)), name, re.DOTALL) is not None


@asynccontextmanager
async def listening(client: redis.asyncio.Redis, *names: str) -> AsyncIterator[Listener]:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe(*names)
        for _ in names:
            assert await pubsub.get_message(timeout=DEADLINE)
        yield Listener(pubsub)


@pytest.fixture
async def replicas(car_settings: dict[str, Any], pool: Pool, secret_keys: str) -> AsyncIterator[tuple[CarService, CarService]]:
    """Two, the first of which writes no state during a test."""
    await add_vehicles(pool, secret_keys, "DEMO")
    slow, other = Settings(**car_settings, state_tick=30.0), Settings(**car_settings | {"health_port": free_port()})
    async with car_service_on(slow, pool) as here, car_service_on(other, pool) as there:
        await until(lambda: here.running.server.replicas.name and there.running.server.replicas.name)
        yield here, there


async def test_what_is_published_is_what_is_declared(replicas: tuple[CarService, CarService]) -> None:
    here, there = replicas
    async with listening(
        here.redis,
        MESSAGES.filled_in("DEMO", "1"),
        PEERS.filled_in("DEMO", "1"),
        GROUP.filled_in("FRIENDS"),
        *(REPLICA.filled_in(service.running.server.replicas.name) for service in replicas),
    ) as listener:
        car = await here.car("demo")
        car.send(b"S75.5,K", b"x\x00\xff\r", b"PAalert", b"c7,0,for nobody", b"ETtoken", b"EMDsealed", b"gfriends,75.5")
        await listener.until_heard(*SAID, ("group", "update"))

        app = await there.app()
        await app.until_hears(b"S75.5,K")
        app.send(b"C7,SYSTEM", b"Gfriends")
        await car.until_hears(b"C7,SYSTEM")
        car.send(b"c7,0,done")
        await app.until_hears(b"c7,0,done")
        await here.presence.connect(VehicleName("Demo", 1), "session", 60)
        others = [(channel.name, body.name) for channel in PUBLISHED for body in channel.bodies if channel is not MESSAGES]
        await listener.until_heard(*others)

        [written] = [body for body in listener.bodies if body.startswith(b"written ")]
        assert b"S75.5,K" in written
        assert b"\\u00ff" in written


async def test_a_notification_of_a_script_reaches_each_app_once(replicas: tuple[CarService, CarService]) -> None:
    """The car is at one replica, scripts and apps are at both: what a replica publishes comes back to the other one."""
    here, there = replicas
    car = await here.car()
    apps = [await here.app(), await there.app()]
    car.send(b"S75.5,K")
    for app in apps:
        await app.until_hears(b"S75.5,K")
    scripts = [await service.batch() for service in replicas]
    heard: list[list[bytes]] = [[], []]
    for number in range(4):
        scripts[number % 2].send(b"PA%d" % number)
        for app, messages in zip(apps, heard, strict=True):
            messages += [*await app.until_hears(b"PA%d" % number), b"PA%d" % number]
    for messages in heard:
        assert [message for message in messages if message[:1] == b"P"] == [b"PA0", b"PA1", b"PA2", b"PA3"]


async def test_where_something_is_dropped_that_is_published(car_settings: dict[str, Any], pool: Pool, secret_keys: str) -> None:
    await add_vehicles(pool, secret_keys, "DEMO")
    async with (
        car_service_on(Settings(**car_settings, publish_bytes=0), pool) as service,
        listening(service.redis, MESSAGES.filled_in("DEMO", "1")) as listener,
    ):
        car = await service.car("demo")
        car.send(b"S1", b"S2")
        await listener.until_heard((MESSAGES.name, "position"), (MESSAGES.name, "state"))
        assert not [body for body in listener.bodies if body.endswith(b" S2")]
