"""What is heard on channels of a real Valkey, also after it was away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from fixtures.waiting import until
from ovms.bus.client import open_redis
from ovms.bus.subscriptions import MOST_AT_ONCE, Listener, Subscriptions
from ovms.local.valkey import Valkey


class Ear:
    """Keeps what it hears; a body of `malformed` is none."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.subscribed = 0

    def listener(self) -> Listener:
        return Listener(self._heard, self._subscribed)

    def _heard(self, body: bytes) -> None:
        if body == b"malformed":
            raise ValueError("it is malformed")
        self.bodies.append(body)

    def _subscribed(self) -> None:
        self.subscribed += 1


@asynccontextmanager
async def running(url: str) -> AsyncIterator[tuple[Subscriptions, redis.asyncio.Redis]]:
    """Subscriptions that run, and a client that publishes."""
    client = open_redis(url, socket_timeout=None)
    subscriptions = Subscriptions(client)
    task = asyncio.create_task(subscriptions.run())
    try:
        yield subscriptions, client
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await client.aclose()


async def heard_by(subscriptions: Subscriptions, channel: bytes) -> Ear:
    """An ear that hears a channel by now."""
    ear = Ear()
    subscriptions.hear(channel, ear.listener())
    await until(lambda: ear.subscribed)
    return ear


async def subscribers(client: redis.asyncio.Redis, channel: bytes) -> int:
    [(_, count)] = await client.pubsub_numsub(channel)
    return int(count)


async def test_who_listens_is_told_so_and_hears_his_channel_alone(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        one, other = await heard_by(subscriptions, b"one"), await heard_by(subscriptions, b"other")
        for channel, body in ((b"one", b"1"), (b"other", b"2"), (b"third", b"3"), (b"one", b"\x00\xff\r\n"), (b"one", b"")):
            await client.publish(channel, body)
        await until(lambda: len(one.bodies) == 3)
        assert one.bodies == [b"1", b"\x00\xff\r\n", b""]
        await until(lambda: other.bodies == [b"2"])
        assert (one.subscribed, other.subscribed) == (1, 1)


async def test_a_name_is_any_bytes_and_no_pattern(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        ear = await heard_by(subscriptions, b"ovms:group:\xff *\r\n")
        await client.publish(b"ovms:group:\xff x\r\n", b"of another")
        await client.publish(b"ovms:group:\xff *\r\n", b"of this")
        await until(lambda: ear.bodies == [b"of this"])


async def test_who_has_left_hears_nothing_more(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        left, stays = await heard_by(subscriptions, b"left"), await heard_by(subscriptions, b"stays")
        subscriptions.leave(b"left")
        await client.publish(b"left", b"late")
        while await subscribers(client, b"left"):
            pass
        await client.publish(b"stays", b"heard")
        await until(lambda: stays.bodies)
        assert left.bodies == []
        subscriptions.leave(b"left")
        subscriptions.leave(b"never heard")


async def test_another_listener_takes_the_place_of_the_first_and_is_told_so(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        first = await heard_by(subscriptions, b"channel")
        second = await heard_by(subscriptions, b"channel")
        await client.publish(b"channel", b"1")
        await until(lambda: second.bodies == [b"1"])
        assert (first.bodies, first.subscribed) == ([], 1)


async def test_who_leaves_and_comes_back_at_once_is_told_so(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        first = await heard_by(subscriptions, b"channel")
        subscriptions.leave(b"channel")
        again = await heard_by(subscriptions, b"channel")
        await client.publish(b"channel", b"1")
        await until(lambda: again.bodies == [b"1"])
        assert first.bodies == []


async def test_many_channels_at_once(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        ears = {b"channel %d" % number: Ear() for number in range(2 * MOST_AT_ONCE + 1)}
        for channel, ear in ears.items():
            subscriptions.hear(channel, ear.listener())
        await until(lambda: all(ear.subscribed for ear in ears.values()))
        first, *_, last = ears
        for channel in (first, last):
            await client.publish(channel, channel)
        await until(lambda: ears[first].bodies == [first] and ears[last].bodies == [last])
        for channel in ears:
            subscriptions.leave(channel)
        while await client.pubsub_channels():
            pass


async def test_a_malformed_body_makes_nobody_deaf(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        ear = await heard_by(subscriptions, b"channel")
        with capture_logs() as logs:
            await client.publish(b"channel", b"malformed")
            await client.publish(b"channel", b"1")
            await until(lambda: ear.bodies == [b"1"])
        assert ear.subscribed == 1
        assert [(entry["channel"], entry["reason"]) for entry in logs] == [("b'channel'", "it is malformed")]


async def test_nothing_is_left_subscribed_after_the_end(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        async with running(redis_url) as (subscriptions, _):
            await heard_by(subscriptions, b"channel")
            assert await subscribers(client, b"channel") == 1
        while await subscribers(client, b"channel"):
            pass


async def test_a_connection_that_redis_has_closed_is_opened_again(redis_url: str) -> None:
    async with running(redis_url) as (subscriptions, client):
        ear = await heard_by(subscriptions, b"channel")
        await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: ear.subscribed == 2)
        await client.publish(b"channel", b"1")
        await until(lambda: ear.bodies == [b"1"])
        assert await subscribers(client, b"channel") == 1


@pytest.fixture
async def valkey_of_its_own(tmp_path: Path) -> AsyncIterator[Valkey]:
    valkey = Valkey(tmp_path)
    valkey.start()
    yield valkey
    valkey.stop()


async def test_after_a_restart_of_redis_all_is_heard_that_is_wanted_then(valkey_of_its_own: Valkey) -> None:
    async with running(valkey_of_its_own.url) as (subscriptions, client):
        stays, left = await heard_by(subscriptions, b"stays"), await heard_by(subscriptions, b"left")
        with capture_logs() as logs:
            valkey_of_its_own.kill()
            await until(lambda: logs)
        subscriptions.leave(b"left")
        newcomer = Ear()
        subscriptions.hear(b"new", newcomer.listener())
        valkey_of_its_own.start()
        await until(lambda: stays.subscribed == 2 and newcomer.subscribed == 1)
        assert sorted(await client.pubsub_channels()) == [b"new", b"stays"]
        await client.publish(b"new", b"1")
        await until(lambda: newcomer.bodies == [b"1"])
        assert left.subscribed == 1


async def test_redis_may_come_later(valkey_of_its_own: Valkey) -> None:
    valkey_of_its_own.kill()
    with capture_logs() as logs:
        async with running(valkey_of_its_own.url) as (subscriptions, _):
            ear = Ear()
            subscriptions.hear(b"channel", ear.listener())
            await until(lambda: logs)
            valkey_of_its_own.start()
            await until(lambda: ear.subscribed)
    assert logs[0]["log_level"] == "warning"
