"""When those who listen are told that they hear, by a Redis whose answers come as late as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from fixtures.waiting import until
from ovms.bus import subscriptions as module
from ovms.bus.subscriptions import Listener, Subscriptions


class SlowRedis:
    """A client, its pool and its only connection."""

    def __init__(self) -> None:
        self.is_connected = True
        self.connections = 0
        self.pings = 0
        self.pong: Any = None
        """What answers a PING, if anything does."""
        self.connection_pool = self
        self.commands: list[tuple[str, bytes]] = []
        self.answers: asyncio.Queue[Any] = asyncio.Queue()

    async def get_connection(self) -> "SlowRedis":
        self.connections += 1
        return self

    async def release(self, connection: "SlowRedis") -> None:
        """Nobody else wants it."""

    async def disconnect(self, *, nowait: bool) -> None:
        """It is gone."""

    async def send_command(self, command: str, *channels: bytes, check_health: bool) -> None:
        self.commands += [(command, channel) for channel in channels]
        if command == "PING":
            self.pings += 1
            if self.pong is not None:
                self.answers.put_nowait(self.pong)

    async def read_response(self, **_: Any) -> Any:
        return await self.answers.get()

    def answer(self, kind: bytes) -> None:
        """To the next command that has no answer yet."""
        self.answers.put_nowait([kind, b"channel", 1])


@pytest.fixture
async def redis(monkeypatch: pytest.MonkeyPatch) -> SlowRedis:
    monkeypatch.setattr(module, "TICK", 0.0)
    return SlowRedis()


@pytest.fixture
async def subscriptions(redis: SlowRedis) -> AsyncIterator[Subscriptions]:
    made = Subscriptions(cast("Any", redis))
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait([task])


async def test_who_comes_back_is_not_told_by_the_answer_to_who_has_left(redis: SlowRedis, subscriptions: Subscriptions) -> None:
    """Between the two answers the channel is not heard."""
    told: list[str] = []
    subscriptions.hear(b"channel", Listener(lambda _: None, lambda: told.append("first")))
    await until(lambda: len(redis.commands) == 1)
    subscriptions.leave(b"channel")
    await until(lambda: len(redis.commands) == 2)
    subscriptions.hear(b"channel", Listener(lambda _: None, lambda: told.append("second")))
    redis.answer(b"subscribe")
    redis.answer(b"unsubscribe")
    await until(lambda: len(redis.commands) == 3 and redis.answers.empty())
    assert told == []
    redis.answer(b"subscribe")
    await until(lambda: told == ["second"])
    assert [command for command, _ in redis.commands] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]


async def test_two_parties_are_told_each_once(redis: SlowRedis, subscriptions: Subscriptions) -> None:
    told: list[str] = []
    for count, name in enumerate(("one", "other"), 1):
        subscriptions.party().hear(b"channel", Listener(lambda _: None, lambda name=name: told.append(name)))
        await until(lambda count=count: len(redis.commands) == count)
    redis.answer(b"subscribe")
    redis.answer(b"subscribe")
    await until(lambda: len(told) == 2)
    assert sorted(told) == ["one", "other"]


async def test_a_redis_that_says_nothing_is_left(redis: SlowRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.01)
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    subscriptions = Subscriptions(cast("Any", redis))
    subscriptions.hear(b"channel", Listener(lambda _: None))
    task = asyncio.create_task(subscriptions.run())
    await until(lambda: redis.connections == 2)
    task.cancel()
    await asyncio.wait([task])


async def test_a_redis_that_answers_is_listened_to(redis: SlowRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.01)
    redis.pong = b"PONG"
    subscriptions = Subscriptions(cast("Any", redis))
    task = asyncio.create_task(subscriptions.run())
    await until(lambda: redis.pings == 5)
    redis.pong = [b"pong", b""]  # of the older protocol
    await until(lambda: redis.pings == 10)
    assert redis.connections == 1
    task.cancel()
    await asyncio.wait([task])


async def test_nothing_is_sent_where_redis_py_would_connect_again(redis: SlowRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    subscriptions = Subscriptions(cast("Any", redis))
    task = asyncio.create_task(subscriptions.run())
    await until(lambda: redis.pings == 1)
    redis.is_connected = False
    subscriptions.hear(b"channel", Listener(lambda _: None))
    await until(lambda: redis.connections == 2)
    assert redis.commands == []
    redis.is_connected = True
    await until(lambda: redis.commands == [("SUBSCRIBE", b"channel")])
    task.cancel()
    await asyncio.wait([task])
