"""Questions to cars over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection

from fixtures.lossy_redis import LossyRedis
from fixtures.names import DEMO
from fixtures.waiting import until
from ovms.bus.cars import Cars, Notice
from ovms.bus.channels import replica_channel
from ovms.bus.client import open_redis
from ovms.bus.presence import Presence
from ovms.bus.subscriptions import Listener, Subscriptions

REPLICA = "5f2c8e0a91b3d764"
NOTICE = Notice("sent", b"C20,")


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Cars]:
    """The cars, as a gateway asks them."""
    client = open_redis(url, retry=Retry(NoBackoff(), 1))
    subscriptions = Subscriptions(client)
    cars = Cars(client, subscriptions)
    listening = asyncio.create_task(subscriptions.run())
    try:
        yield cars
    finally:
        listening.cancel()
        await asyncio.wait([listening])
        await client.aclose()


async def test_a_question_that_may_have_been_heard_is_not_asked_again(redis_url: str) -> None:
    heard: list[bytes] = []
    client = open_redis(redis_url)
    presence, subscriptions = Presence(client), Subscriptions(client)
    subscribed = asyncio.Event()
    subscriptions.hear(replica_channel(REPLICA).encode(), Listener(heard.append, subscribed.set))
    listening = asyncio.create_task(subscriptions.run())
    await subscribed.wait()
    await presence.begin_replica(REPLICA)
    await presence.claim(REPLICA, [(DEMO, 0)])
    socket_path = redis_url.removeprefix("unix://").partition("?")[0]

    async with LossyRedis(socket_path, passes_on=True).serving() as url, asking(url) as cars:
        [present] = await presence.present([DEMO])
        with pytest.raises(LostConnection):
            await cars.ask(DEMO.number, present, b"C20,", NOTICE, is_last=lambda _: True, within=5)
        assert cars.open_questions == 0

    await client.publish(replica_channel(REPLICA), b"the last one")
    await until(lambda: b"the last one" in heard)
    assert [body.split(b" ")[-1] for body in heard] == [b"C20,", b"one"]
    listening.cancel()
    await asyncio.wait([listening])
    await client.aclose()
